-- Reloads of rpa1 with all its policies: how long one takes, how long it holds the loop, and what a thousand leave behind.
local lab = require "lab"
local lfs = require "lfs"
local native = require "benchnative"
local proc = require "proc"
local rounds = require "rounds"
local scrape = require "scrape"
local tend = require "tend"

local RELOADS, WARM = 1000, 1500 -- by then the ring of events is full, and so are the holes in the memory

-- A timer each millisecond tells how long the loop was held.
local rpa1 = {
  name = "tend, rpa1", ours = true, note = "its dependency on the database left out; a timer each millisecond besides",
  make = function(self, place)
    local argv, env = tend.rpa1:make(place, 1)
    self.port = scrape.free_port()
    self.file, self.state = place.dir .. "/flows/rpa1.lua", place.dir .. "/state"
    local f = assert(io.open(self.file))
    self.text = "timer.every(0.001, function() end)\n" .. f:read "a"
    f:close()
    lab.write(self.file, self.text)
    env.CONTAINER_HTTP_ADDRESS = "127.0.0.1:" .. self.port
    env.CONTAINER_RELOAD = "manual"
    return argv, env
  end,
}

-- Each version has another check, another cleanup handler and another summary.
local function version(c, i)
  local more = ([[
do
  local flow = ...
  flow.summary = "version %d"
  flow.checks[#flow.checks + 1] = { name = "bench", kind = "directory", params = { path = "/" }, interval = %d }
  flow.cleanup[#flow.cleanup + 1] = { name = "bench_%d", run = function() return %d end }
end
]]):format(i, 30 + i % 7, i % 5, i)
  local text = c.text:gsub("\nreturn (%b{})%s*$", function(flow)
    return "\nlocal flow = " .. flow .. "\n" .. more:gsub("local flow = %.%.%.\n", "") .. "return flow\n"
  end)
  assert(text ~= c.text, "flows/rpa1.lua ends in another way now")
  lab.write(c.file .. ".new", text)
  assert(os.rename(c.file .. ".new", c.file))
end

local function reload(c, i)
  version(c, i)
  local said = lab.sh(("%s reload --state-dir %s --json"):format(tend.program, lab.quote(c.state)))
  local generation = tonumber(said:match '"generation": (%d+)')
  if not generation then error("reload: " .. said, 0) end
  return generation
end

local function descriptors(pids)
  local n = 0
  for _, pid in ipairs(pids) do
    for _ in lfs.dir(("/proc/%d/fd"):format(pid)) do n = n + 1 end
  end
  return n
end

local function state(c, run)
  native.sleep(1) -- what is given back later
  local pids = proc.split(run.pid, "stamp")
  local text = scrape.get(c.port, "/metrics")
  return {
    memory = scrape.engine_memory(pids), descriptors = descriptors(pids), text = text,
    timers = scrape.sum(text, "tend_loop_timers"), watches = scrape.sum(text, "tend_loop_watches"),
  }
end

local function measure(c, bench)
  local run = rounds.start(c, 1)
  native.sleep(1)
  local n = bench.quick and 20 or RELOADS
  for i = 1, WARM do reload(c, i) end
  local before = state(c, run)
  for i = 1, n do assert(reload(c, WARM + i) == WARM + i + 1, "a reload was lost") end
  local after = state(c, run)
  local took = {}
  local events = lab.sh(("%s events --state-dir %s --json"):format(tend.program, lab.quote(c.state)))
  for line in events:gmatch "[^\n]+" do
    if line:find('"event": "policy_reloaded"', 1, true) then took[#took + 1] = tonumber(line:match '"duration_ms": ([%d.]+)') end
  end
  run:close()
  return {
    took = took, held = scrape.quantile(before.text, after.text, "tend_loop_lag_seconds", 0.99) * 1000,
    memory = math.max(0, after.memory - before.memory), descriptors = after.descriptors - before.descriptors,
    timers = after.timers - before.timers + after.watches - before.watches,
  }
end

return {
  name = "reload",
  title = "Reload",
  run = function(bench)
    local outcome = rounds.run({ rpa1 }, bench.quick and 1 or 2, function(c) return measure(c, bench) end)
    return {
      rounds.table(outcome, {
        title = "From the wish to the swap: settings, flow and scripts are read, checked, compared and in force", unit = "ms", key = "took",
        about = "Another check, cleanup handler and text each time; as the event tells it.",
        floor = false, limit = function() return { most = 10, on = "high" } end,
      }),
      rounds.table(outcome, {
        title = "The loop is held that long", unit = "ms", key = "held",
        about = "By how late a timer of each millisecond was, in 99 of 100 times (a reload is one in fifteen): the upper bound of its bucket.",
        floor = false, limit = function() return { most = 5, on = "max" } end,
      }),
      rounds.table(outcome, {
        title = "Memory of the engine after 1,000 more reloads", unit = "KiB more", key = "memory", floor = false,
        limit = function() return { most = 256 } end,
      }),
      rounds.table(outcome, {
        title = "Descriptors after 1,000 more reloads", unit = "more", key = "descriptors", floor = false,
        limit = function() return { most = 0, on = "max" } end,
      }),
      rounds.table(outcome, {
        title = "Timers and watches after 1,000 more reloads", unit = "more", key = "timers", floor = false,
        about = "A helper that happens to run has two of them.", limit = function() return { most = 3, on = "max" } end,
      }),
    }
  end,
}
