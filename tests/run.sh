#!/bin/bash
# Runs test files at once, each as a program of its own, and adds up their TAP.
#   tests/run.sh unit|spec|system|container|FILE ...
# BUILD: build folder (build). RESULTS: where the TAP goes (BUILD/results). JOBS: how many at once. TEST_TIMEOUT: seconds a file may take (180).
# The last line is "N passed, N failed, N skipped"; the exit is 1 when something failed or nothing ran.
set -u
shopt -s nullglob
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build}
out=${RESULTS:-$BUILD/results}

run_one() { # FILE OUT
  local file=$1 tap status start=${EPOCHREALTIME/./}
  tap=$2/${file//\//-}.tap
  case $file in
    *.lua) set -- busted --run=tests -o tests/tap.lua "$file" ;;
    *) set -- "$file" ;;
  esac
  CMOCKA_MESSAGE_OUTPUT=tap timeout -k 5 "${TEST_TIMEOUT:-180}" "$@" >"$tap" 2>"$tap.err" </dev/null
  status=$?
  [ $status != 124 ] && [ $status != 137 ] || echo "# over the time of ${TEST_TIMEOUT:-180} s" >>"$tap"
  # What the program says (its plan, its exit) must agree with the results that are there.
  awk -v file="$file" -v status=$status -v ms=$(((${EPOCHREALTIME/./} - start) / 1000)) '
    /^# / { note = substr($0, 3); next } # what a unit test says before it skips
    /^(not )?ok .*# [Ss][Kk][Ii][Pp]/ {
      skip++
      print "skip\t" file "\t" $0 (note != "" && file !~ /\.lua$/ ? ": " note : "") > "/dev/stderr"
      note = ""
      next
    }
    { note = "" }
    /^ok/ { pass++; next }
    /^not ok/ { fail++; next }
    /^1\.\./ { plan = substr($0, 4) + 0; planned = 1 }
    END {
      n = pass + fail + skip
      if (!fail && (status != 0 || !planned || plan != n || n == 0)) {
        fail++; wrong = " (exit " status ", " (planned ? plan " planned, " : "no plan, ") n " ran)"
      }
      printf "%s %s: %d passed, %d failed, %d skipped, %d ms%s\n", fail ? "FAILED" : "ok", file, pass, fail, skip, ms, wrong
    }' "$tap" >"$tap.sum" 2>"$tap.skip"
  cat "$tap.sum"
  if [[ $(<"$tap.sum") == FAILED* ]]; then
    grep -A25 -E '^not ok' "$tap" | grep -vE '^ok ' | head -n 80 | sed 's/^/    /'
    tail -n 40 "$tap.err" | sed 's/^/    /'
    [ "$(grep -cE '^not ok' "$tap")" != 0 ] || tail -n 15 "$tap" | sed 's/^/    /'
  fi
}

if [ "${1-}" = --one ]; then
  run_one "$2" "$out"
  exit
fi

files=()
for what in "$@"; do
  case $what in
    unit) for f in tests/unit/test_*.c; do [ ! -e "$f" ] || files+=("$BUILD/unit/$(basename "$f" .c)"); done ;;
    spec) mapfile -t -O ${#files[@]} files < <(find spec -name '*_spec.lua' | sort) ;;
    system | container) mapfile -t -O ${#files[@]} files < <(find "tests/$what" -name '*_spec.lua' | sort) ;;
    *) files+=("$what") ;;
  esac
done
rm -rf "$out"
mkdir -p "$out"
[ ${#files[@]} = 0 ] || printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "${JOBS:-$(($(nproc) + 1))}" "$0" --one

cat "$out"/*.skip 2>/dev/null | awk -F'\t' '{ sub(/^(not )?ok [0-9]+ (- )?/, "", $3); print "skipped: " $2 ": " $3 }'
awk '{ for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i-1); if ($i ~ /^failed/) f += $(i-1); if ($i ~ /^skipped/) s += $(i-1) } }
  END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit !(f == 0 && p > 0) }' "$out"/*.sum /dev/null
