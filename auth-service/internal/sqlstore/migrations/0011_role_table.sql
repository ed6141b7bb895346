-- +goose Up
-- What roles permit, as the auth-service that started last has it configured.
CREATE TABLE role_table (
    id      BIGINT PRIMARY KEY,
    version BIGINT NOT NULL,
    roles   TEXT NOT NULL -- contract.RoleTable.Roles in JSON
);

-- +goose Down
DROP TABLE role_table;
