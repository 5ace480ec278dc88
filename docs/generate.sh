#!/bin/bash
# Writes the generated parts of the docs anew; with --check it only compares, and ends with 1 where they differ.
set -euo pipefail
cd "$(dirname "$0")/.."
tend=${BUILD:-build}/tend
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

# the table of limits, from their header
limits() {
  echo '| limit | value | of what |'
  echo '| --- | --- | --- |'
  sed -nE 's/^ *LIMIT_([A-Z_]+) = ([^,]+), *(\/\* *(.*) *\*\/)?$/\1|\2|\4/p' engine/base/limits.h |
    awk -F'|' '{
      value = $2
      if (value == "1024 * 1024") value = "1 MiB"
      else if (value ~ /\* 1024 \* 1024$/) { sub(/ \* 1024 \* 1024$/, " MiB", value) }
      else sub(/ \* 1024$/, " KiB", value)
      gsub(/_/, " ", $1); sub(/ +$/, "", $3)
      printf "| %s | %s | %s |\n", tolower($1), value, $3
    }'
}

# Each "<!-- NAME: written by … -->" up to the next "<!-- end -->" holds the file NAME.
mkdir "$new/tables"
limits >"$new/tables/limits"
"$tend" explain --docs exits >"$new/tables/exits"
"$tend" explain --docs signals >"$new/tables/signals"
"$tend" help --docs >"$new/tables/operations"
for page in operations control; do
  awk -v tables="$new/tables/" '
    /^<!-- [a-z]+: written by/ { print; name = $2; sub(/:/, "", name); while ((getline line <(tables name)) > 0) print line; skip = 1; next }
    /^<!-- end -->/ { skip = 0 }
    !skip' docs/$page.md >"$new/$page.md"
done
"$tend" explain --docs >"$new/events.md"
"$tend" explain --docs machine >"$new/machine.md"

# settings, from their tables: tend's own, then each flow's
{
  env -i "$tend" config --docs
  for f in flows/*.lua; do
    flow=$(basename "$f" .lua)
    env -i "$tend" config --docs --flows flows --flow-name "$flow" || true # what it would need to start is not there
  done
} >"$new/configuration.md"
"$tend" script docs/generate.lua "$new"

status=0
for f in "$new"/*.md; do
  name=docs/$(basename "$f")
  if [ "${1-}" = --check ]; then
    diff -u "$name" "$f" || { echo "$name is not what would be generated: run make docs" >&2; status=1; }
  else
    cp "$f" "$name"
  fi
done
exit $status
