#!/bin/sh
# The arrows between the folders, read off the #includes: who may include whom. First it proves on a few planted
# files that it can fail.
set -eu

check() { # DIR: prints each wrong #include, ends with 1 if there was one
  # shellcheck disable=SC2016 # awk's own dollars
  (cd "$1" && find engine include -name '*.[ch]' 2>/dev/null | sort | xargs -r awk '
    BEGIN {
      may["base"] = "base"
      may["helper"] = may["guard"] = "base"
      may["init"] = "base guard"
      may["core"] = "base core"
      may["client"] = "base core client"
      may["loop"] = "base core loop"
      may["probes"] = "base core loop probes"
      may["health"] = "base core loop probes health"
      may["web"] = "base core loop probes web"
      may["supervisor"] = "base core loop probes health web supervisor"
      may["lua"] = "base core loop probes lua"
      may["cmd"] = "base core init helper loop probes health supervisor lua client cmd"
      may["main.c"] = "base guard cmd"
      may["parts"] = may["include"] = ""
      only["ev.h"] = "loop"
      only["lua.h"] = only["lauxlib.h"] = only["lualib.h"] = "lua"
      only["microhttpd.h"] = only["libpq-fe.h"] = only["curl/curl.h"] = "parts"
      split("unistd.h time.h sys/time.h sys/stat.h fcntl.h signal.h pthread.h", pure)
      for (i in pure) impure[pure[i]] = 1
    }
    function wrong(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; bad = 1 }
    !/^[ \t]*#[ \t]*include/ { next }
    {
      split(FILENAME, path, "/")
      from = path[1] == "include" ? "include" : path[2]
      what = $0; sub(/^[^"<]*["<]/, "", what); sub(/[">].*/, "", what)
      if ($0 ~ /"/) {
        to = what; sub(/\/.*/, "", to)
        if (to == "tend" && what ~ /\//) next
        if (!(from in may)) wrong("the folder engine/" from " is not in the list of layers")
        else if (to == from && what ~ /\//) next
        else if (what !~ /^[a-z]+\/[a-z0-9_]+\.(h|def)$/) wrong("\"" what "\" must be written \"folder/file.h\"")
        else if ((" " may[from] " ") !~ (" " to " ")) wrong(from " may not include " to " (\"" what "\")")
      } else {
        if (what in only && from != only[what]) wrong("<" what "> belongs in engine/" only[what] " alone")
        if (from == "core" && what in impure) wrong("core is pure: no <" what ">")
      }
    }
    END { exit bad }')
}

plant() { # FILE INCLUDE: must be refused
  mkdir -p "$dir/$(dirname "$1")"
  printf '#include %s\n' "$2" >"$dir/$1"
  if check "$dir" >/dev/null; then
    echo "layers: the check lets $1 include $2" >&2
    exit 1
  fi
  rm "$dir/$1"
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
plant engine/base/a.c '"core/plan.h"'
plant engine/core/a.c '"loop/loop.h"'
plant engine/core/a.c '<ev.h>'
plant engine/core/a.c '<unistd.h>'
plant engine/loop/a.c '"lua/vm.h"'
plant engine/lua/a.c '"cmd/cmd.h"'
plant engine/cmd/a.c '<lua.h>'
plant engine/init/a.c '"core/event.h"'
plant engine/helper/a.c '"core/event.h"'
plant engine/parts/a.c '"base/err.h"'
plant engine/client/a.c '"loop/loop.h"'
plant engine/loop/a.c '"loop.h"'
plant include/tend/a.h '"base/err.h"'
plant engine/other/a.c '"base/err.h"'
mkdir -p "$dir/engine/loop"
printf '#include <ev.h>\n#include "core/plan.h"\n#include "tend/probe.h"\n' >"$dir/engine/loop/a.c"
check "$dir" || { echo "layers: the check refuses what is right" >&2; exit 1; }

check "$(dirname "$0")/.."
