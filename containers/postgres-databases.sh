#!/bin/sh
# Run by the postgres image when its volume is new: one database and one owner for Airflow, one for the ledger.
set -eu

create() {
  psql -v ON_ERROR_STOP=1 -v name="$1" -v password="$2" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
}

create airflow "$AIRFLOW_DB_PASSWORD"
create seaice "$SEAICE_DB_PASSWORD"
