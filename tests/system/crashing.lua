-- For tests that end the engine: which process it is, and flows whose output tells whether a line was lost.
local cjson = require "cjson"
local h = require "harness"

local crashing = {}

--- The engine of p, -1 while there is none: below init, the one that has an event loop and is no helper.
function crashing.engine(p)
  local init = p.root and p.pid or p:children()[1]
  for _, pid in ipairs(p:children()) do
    local stat = h.stat(pid)
    if stat and stat.ppid == init and stat.state ~= "Z" and stat.name == "tend" then
      local fds = h.sh(("ls -l /proc/%d/fd 2>/dev/null || true"):format(pid))
      if fds:find("eventpoll", 1, true) then return pid end
    end
  end
  return -1
end

--- Kills it, and waits for the next one to say that it goes on.
function crashing.kill(p, signal)
  local before = #p:events("engine_restarted")
  local pid
  h.wait_for(function()
    pid = crashing.engine(p)
    return pid > 0
  end, 5, "an engine")
  h.native.kill(pid, h.signals[signal or "KILL"])
  h.wait_for(function() return #p:events("engine_restarted") > before end, 10, "a new engine")
  return p:events("engine_restarted")[before + 1]
end

--- What main says: "line 1", "line 2" ... of one run of it.
function crashing.counter(extra)
  return ("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; %s done"):format(extra or "")
end

--- Lines without a gap, from 1; how many.
function crashing.lines(p)
  local n = 0
  for i in p.out:gmatch("line (%d+)\n") do
    n = n + 1
    assert(n == tonumber(i), ("line %d is followed by line %s"):format(n - 1, i))
  end
  return n
end

--- A flow file of that text, run; before(folder) comes first. p.flows: where it is.
function crashing.flow(text, o)
  o = o or {}
  local dir = h.tempdir()
  h.sh("mkdir " .. dir .. "/flows")
  h.write(dir .. "/flows/f.lua", text)
  if o.before then o.before(dir .. "/flows") end
  o.args = { "run", "--flow-name", "f", "--flows", dir .. "/flows" }
  o.env = o.env or {}
  local p = h.spawn(o)
  p.flows = dir .. "/flows"
  return p
end

function crashing.status(p)
  local code, out, err = h.ask(p, "status", "--json")
  assert(code == 0, err)
  return cjson.decode(out)
end

--- Its first process, as the status has it.
function crashing.main(p) return crashing.status(p).processes[1] end

return crashing
