#!/bin/bash
# Runs flow rpa1 in the foreground, for real: `make run` in a checkout.
#
# Where CONTAINER_RPA_DB_CONNECTION_STRING is not given, it starts a private PostgreSQL (scram, a Unix socket, nothing on the
# network) in a session of its own, and stops it after tend. The input directory gets CSV files of orders, and a new one
# every few runs. All is under build/run; data and output stay there for the next time, `make clean` removes them.
# Any CONTAINER_ variable of yours wins. RUN_ONCE=1: stop as soon as the first file has been processed.
set -euo pipefail
cd "$(dirname "$0")/../.."

tend=$PWD/${BUILD:-build}/tend
dir=${RUN_DIR:-$PWD/${BUILD:-build}/run}
mkdir -p "$dir"/{data/input,logs,output}
exec 9>"$dir/lock"
flock -n 9 || { echo "make run: another one is running in $dir" >&2; exit 73; }

feeder_pid="" postgres_pid=""

# shellcheck disable=SC2317 # the trap calls it
finish() {
  trap '' INT TERM HUP
  [ -z "$feeder_pid" ] || kill -- -"$feeder_pid" 2>/dev/null || true
  if [ -n "$postgres_pid" ]; then
    kill -INT "$postgres_pid" 2>/dev/null || true # its fast shutdown
    wait "$postgres_pid" 2>/dev/null || true
    echo "make run: PostgreSQL stopped" >&2
  fi
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- PostgreSQL -----------------------------------------------------------------------------------------------------

as=(setpriv --pdeathsig INT) # whatever happens to this script, the server ends with it
[ "$(id -u)" != 0 ] || as+=(--reuid=postgres --regid=postgres --init-groups)

postgres_bin() {
  local bin
  bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  [ -n "$bin" ] || bin=$(dirname "$(command -v postgres)")
  echo "$bin"
}

# The server's folder: below build/run, unless its user cannot get there or the path is too long for a socket.
postgres_dir() {
  local d=$dir/postgres
  mkdir -p "$d"
  [ "$(id -u)" != 0 ] || chown postgres: "$d"
  if [ ${#d} -gt 80 ] || ! "${as[@]}" test -w "$d" -a -x "$d" 2>/dev/null; then
    rmdir "$d" 2>/dev/null || true
    d=/tmp/tend-run-$(id -u)-$(cksum <<<"$dir" | cut -d' ' -f1)
    if mkdir -m 700 "$d" 2>/dev/null && [ "$(id -u)" = 0 ]; then chown postgres: "$d"; fi
    "${as[@]}" test -O "$d" || { echo "make run: $d belongs to somebody else" >&2; exit 73; }
  fi
  echo "$d"
}

# shellcheck disable=SC2016 # the inner shell expands
make_cluster() { # BIN DIR
  rm -rf "$2/data"
  (
    cd /
    od -An -N18 -tx1 /dev/urandom | tr -d ' \n' | "${as[@]}" sh -c 'umask 077; cat >"$0"' "$2/password"
    "${as[@]}" "$1/initdb" -D "$2/data" -U tend -A scram-sha-256 --pwfile="$2/password" -N -E UTF8 --locale=C.UTF-8
    echo 'create database rpa' | "${as[@]}" "$1/postgres" --single -D "$2/data" postgres
    "${as[@]}" touch "$2/ready"
  )
}

start_postgres() {
  local bin d log=$dir/logs/postgres.log
  bin=$(postgres_bin)
  d=$(postgres_dir)
  if [ ! -e "$d/ready" ]; then
    make_cluster "$bin" "$d" >"$log" 2>&1 || { tail "$log" >&2; exit 69; }
  fi
  : >"$log"
  (cd / && exec setsid "${as[@]}" "$bin/postgres" -D "$d/data" -k "$d" -c listen_addresses= -c max_connections=20) \
    </dev/null >>"$log" 2>&1 9>&- &
  postgres_pid=$!
  for _ in $(seq 300); do
    if grep -q 'ready to accept connections' "$log" || ! kill -0 "$postgres_pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  grep -q 'ready to accept connections' "$log" || { echo "make run: PostgreSQL does not start:" >&2; tail "$log" >&2; exit 69; }
  CONTAINER_RPA_DB_CONNECTION_STRING="postgresql://tend:$("${as[@]}" cat "$d/password")@/rpa?host=$d"
  export CONTAINER_RPA_DB_CONNECTION_STRING
  echo "make run: PostgreSQL is ready in $d" >&2
}

# --- input ----------------------------------------------------------------------------------------------------------

# The next CSV file of orders; it appears whole. The number of the last one is kept, so that no order comes twice.
write_orders() {
  local n=0 name
  [ ! -e "$dir/orders" ] || n=$(<"$dir/orders")
  n=$((n + 1))
  name=orders-$(date +%Y%m%d)-$(printf %04d "$n").csv
  awk -v file="$n" -v rows=$((100 + n % 5 * 75)) -v iso="$(date +%Y-%m-%d)" -v german="$(date +%d.%m.%Y)" 'BEGIN {
    srand(file * 7919)
    customers = split("Alder & Sons|Birch|\"Cedar, Elm and Co.\"|Hazel|Larch|\"Maple \"\"North\"\"\"|Oak|Rowan|\"Willow\nWorks\"", customer, "|")
    split("EUR|USD|GBP", currency, "|")
    print "order_id,customer,order_date,quantity,unit_price,currency"
    for (i = 1; i <= rows; i++) {
      price = rand() < 0.1 ? sprintf("\"1,%03d.%02d\"", rand() * 1000, rand() * 100) : sprintf("%.2f", 0.5 + rand() * 400)
      printf "%06d-%04d,%s,%s,%d,%s,%s\n", file, i, customer[1 + int(rand() * customers)], rand() < 0.3 ? german : iso,
        1 + int(rand() * 40), price, currency[1 + int(rand() * 3)]
    }
  }' >"$CONTAINER_RPA1_INPUT_DIR/$name.tmp"
  mv "$CONTAINER_RPA1_INPUT_DIR/$name.tmp" "$CONTAINER_RPA1_INPUT_DIR/$name"
  echo "$n" >"$dir/orders"
}

feed() {
  while sleep $((CONTAINER_EXECUTION_INTERVAL * 3)) && [ -e "/proc/$$/exe" ]; do write_orders; done # a zombie has none
}

# --- tend -----------------------------------------------------------------------------------------------------------

[ -n "${CONTAINER_RPA_DB_CONNECTION_STRING:-}" ] || start_postgres

# The environment block of the specification; the peers that are not on this machine are left out.
export CONTAINER_FLOW_NAME=rpa1
export CONTAINER_ENVIRONMENT=${CONTAINER_ENVIRONMENT:-production}
export CONTAINER_WORKER_ID=${CONTAINER_WORKER_ID:-rpa1-worker-1}
export CONTAINER_DATABASE_SURVEY_HUB_HOST=${CONTAINER_DATABASE_SURVEY_HUB_HOST:-localhost}
export CONTAINER_MAX_MEMORY_MB=${CONTAINER_MAX_MEMORY_MB:-512}
export CONTAINER_MAX_CPU_PERCENT=${CONTAINER_MAX_CPU_PERCENT:-50}
export CONTAINER_EXECUTION_MODE=${CONTAINER_EXECUTION_MODE:-daemon}
export CONTAINER_EXECUTION_INTERVAL=${CONTAINER_EXECUTION_INTERVAL:-5}
export CONTAINER_RESTART_POLICY=${CONTAINER_RESTART_POLICY:-on-failure}
export CONTAINER_RPA1_BATCH_SIZE=${CONTAINER_RPA1_BATCH_SIZE:-25}
export CONTAINER_LOG_DIR=${CONTAINER_LOG_DIR:-$dir/logs}
export CONTAINER_DATA_DIR=${CONTAINER_DATA_DIR:-$dir/data}
export CONTAINER_OUTPUT_DIR=${CONTAINER_OUTPUT_DIR:-$dir/output}
export CONTAINER_STATE_DIR=${CONTAINER_STATE_DIR:-$dir/state}
export CONTAINER_LOG_FORMAT=${CONTAINER_LOG_FORMAT:-pretty}
export CONTAINER_RPA1_INPUT_DIR=${CONTAINER_RPA1_INPUT_DIR:-$CONTAINER_DATA_DIR/input}

for _ in 1 2 3; do write_orders; done
set -m # a group for each from here on: Ctrl-C comes to this script alone, and is passed on in order
feed 9>&- &
feeder_pid=$!

setpriv --pdeathsig TERM "$tend" run 9>&- <&0 &
tend_pid=$!
trap 'kill -INT "$tend_pid" 2>/dev/null' INT
trap 'kill -TERM "$tend_pid" 2>/dev/null' TERM HUP
while [ -n "${RUN_ONCE:-}" ] && kill -0 "$tend_pid" 2>/dev/null; do
  if [ -n "$(find "$CONTAINER_OUTPUT_DIR" -name '*.csv' -newer "$dir/lock" -print -quit)" ]; then
    RUN_ONCE=""
    kill -TERM "$tend_pid"
  else
    sleep 0.2
  fi
done
code=0
while wait "$tend_pid" && code=0 || code=$?; kill -0 "$tend_pid" 2>/dev/null; do :; done # a signal ends a wait early
exit "$code"
