-- Run once, by psql as the superuser, when the server is new. Each service has
-- a role and a database of its own and can reach no other. The tables are made
-- by the services themselves.
\getenv auth_password AUTH_DATABASE_PASSWORD
\getenv user_password USER_DATABASE_PASSWORD

CREATE ROLE gatehouse_auth LOGIN PASSWORD :'auth_password';
CREATE ROLE gatehouse_users LOGIN PASSWORD :'user_password';

CREATE DATABASE gatehouse_auth OWNER gatehouse_auth ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE gatehouse_users OWNER gatehouse_users ENCODING 'UTF8' TEMPLATE template0;

REVOKE ALL ON DATABASE gatehouse_auth FROM PUBLIC;
REVOKE ALL ON DATABASE gatehouse_users FROM PUBLIC;
