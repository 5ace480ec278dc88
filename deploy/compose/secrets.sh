#!/bin/sh
# Makes deploy/compose/secrets, once: a password for PostgreSQL and the connection string with it.
# The folder is private; the files in it can be read by whoever gets them mounted.
set -eu
dir=${1:-$(dirname "$0")/secrets}
[ ! -e "$dir/rpa_db" ] || exit 0
(umask 077 && mkdir -p "$dir")
password=$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" >"$dir/postgres_password"
printf 'postgresql://tend:%s@postgres/rpa\n' "$password" >"$dir/rpa_db"
chmod 644 "$dir/postgres_password" "$dir/rpa_db"
