#!/usr/bin/env bash
# Sourced by Postgres' image on an empty volume: makes the role of the service, which owns its database and is no superuser.
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set name="$POSTGRES_DB" --username postgres --dbname postgres <<'SQL'
\set password `cat /run/secrets/database_password`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
ALTER DATABASE :"name" OWNER TO :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
