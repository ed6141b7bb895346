-- +goose Up
-- Indexes for parts of texts, which PostgreSQL has in an extension that belongs
-- to it. Where it may not be installed, searches read all users; see the README.
-- +goose StatementBegin
DO $$
DECLARE place TEXT;
BEGIN
    BEGIN
        CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE 'pg_trgm is not installed: %', SQLERRM;
    END;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm';
    IF place IS NOT NULL THEN
        EXECUTE format('CREATE INDEX users_by_text ON users USING gin (search %I.gin_trgm_ops) WHERE status <> ''deleted''', place);
        EXECUTE format('CREATE INDEX users_by_role ON users USING gin (roles %I.gin_trgm_ops) WHERE status <> ''deleted''', place);
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX IF EXISTS users_by_role;
DROP INDEX IF EXISTS users_by_text;
