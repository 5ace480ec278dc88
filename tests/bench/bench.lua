-- make bench: runs the figures, prints them, writes the page, ends with 1 when a limit is broken.
--   lua5.4 tests/bench/bench.lua [--quick] [--no-peers] [--out FILE] [FIGURE ...]
-- --quick: three samples of each, few children, no peers, and limits decide nothing: whether the bench itself works.
local build = os.getenv "BUILD" or "build"
package.path = "tests/bench/?.lua;" .. package.path
package.cpath = build .. "/bench/?.so;" .. build .. "/tests/?.so;" .. package.cpath

local lab = require "lab"
local machine = require "machine"
local native = require "benchnative"
local page = require "page"
local peers = require "peers"
local tend = require "tend"
local verdict = require "verdict"

local FIGURES = { "start", "restart", "stop", "many", "memory", "depend", "check", "thousand", "react", "web", "reap", "output", "prompt", "reload", "runaway", "tasks" }

local bench = { peers = true }
local wanted, out = {}, nil
do
  local i = 1
  while arg[i] do
    local a = arg[i]
    if a == "--quick" then
      bench.quick, bench.peers = true, false
    elseif a == "--no-peers" then
      bench.peers = false
    elseif a == "--out" then
      i = i + 1
      out = arg[i]
    else
      for name in a:gmatch "[^,%s]+" do wanted[#wanted + 1] = name end
    end
    i = i + 1
  end
end

--- How many rounds a figure makes.
function bench.n(full)
  return bench.quick and 3 or full
end

local known = {}
for _, name in ipairs(FIGURES) do known[name] = true end
for _, name in ipairs(wanted) do
  if not known[name] then
    io.stderr:write(("bench: there is no figure %q; there are %s\n"):format(name, table.concat(FIGURES, ", ")))
    os.exit(64)
  end
end
local all = #wanted == 0
if all then wanted = FIGURES end
out = out or (all and bench.peers and "docs/benchmarks.md" or build .. "/bench/benchmarks.md")

-- A program's pages that are not yet on the disk would count as its memory.
native.fsync(tend.program)
for part in lab.sh(("ls %s/parts/*.so 2>/dev/null"):format(build)):gmatch "%S+" do native.fsync(part) end

local is_peer = {}
for _, p in ipairs(peers) do
  is_peer[p.name] = true
  if bench.peers and p.missing then print(("  %s: left out, %s"):format(p.name, p.missing)) end
end

local results, broken, begun = {}, {}, native.now()
for _, name in ipairs(wanted) do
  local figure = require("figures." .. name)
  local from = native.now()
  local tables = figure.run(bench)
  results[#results + 1] = { name = name, title = figure.title, tables = tables }
  for _, t in ipairs(tables) do
    for _, row in ipairs(t.rows) do row.peer = is_peer[row.name] end
    verdict.table(t)
    page.print(t)
    for _, row in ipairs(t.rows) do
      if row.broken then broken[#broken + 1] = ("%s: %s: %s, the limit is %s"):format(t.title, row.name,
        row.failed or page.said(row, t), row.limit_text) end
      if row.ours and row.failed and not row.limit then broken[#broken + 1] = ("%s: %s: %s"):format(t.title, row.name, row.failed) end
    end
  end
  print(("  figure %s took %.0f s\n"):format(name, (native.now() - from) / 1e9))
end

local about = machine.about(bench, (native.now() - begun) / 1e9)
lab.write(out, page.markdown(results, about))
print("written: " .. out)
if bench.quick then os.exit(0) end
for _, line in ipairs(broken) do print("limit broken: " .. line) end
os.exit(#broken == 0 and 0 or 1)
