-- +goose Up
INSERT INTO locks (name) VALUES ('lost_sessions');

-- +goose Down
DELETE FROM locks WHERE name = 'lost_sessions';
