-- +goose Up
-- The trail can be searched for a session and for a request.
CREATE INDEX audit_by_session ON audit (session_id, at, id);
CREATE INDEX audit_by_request ON audit (request_id, at, id);

-- +goose Down
DROP INDEX audit_by_request;
DROP INDEX audit_by_session;
