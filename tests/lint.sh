#!/bin/bash
# clang-tidy, cppcheck, shellcheck and the length of files. Ends with 1 when one of them has something to say.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0
say() { echo "lint: $1"; status=1; }

flags=(-std=gnu11 -D_GNU_SOURCE '-DSTUBS="stubs.lua"' '-DSERVER_PAGE="page.html"' -Iengine -Iinclude -isystem /usr/include/lua5.4 -isystem /usr/include/postgresql)
find engine -name '*.c' -print0 | sort -z |
  xargs -0 -P "$(nproc)" -I{} clang-tidy --quiet {} -- "${flags[@]}" -include engine/base/banned.h 2> >(grep -vE 'warnings? (generated|treated)|^Suppressed|^Use -header' >&2) ||
  say "clang-tidy"

# the two about leaks do not know cleanup attributes; the third is wrong about arrays
cppcheck --quiet --std=c11 --language=c -D_GNU_SOURCE -Iengine -Iinclude --inline-suppr --error-exitcode=1 -j "$(nproc)" \
  --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=memleak --suppress=resourceLeak --suppress=nullPointerRedundantCheck \
  --include=/usr/include/cjson/cJSON.h --suppress='*:/usr/include/*' \
  --template='{file}:{line}: {message} [{id}]' engine || say "cppcheck"

mapfile -t scripts < <(git ls-files | while read -r f; do head -c 20 "$f" 2>/dev/null | head -n 1 | grep -qE '^#!.*\b(ba)?sh\b' && echo "$f"; done)
shellcheck "${scripts[@]}" || say "shellcheck"

long=$(git ls-files 'engine/*.[ch]' 'include/*.h' 'scripts/*.lua' 'flows/*.lua' | xargs -r wc -l | awk '$2 != "total" && $1 > 450')
[ -z "$long" ] || say "over 450 lines: $long"
exit $status
