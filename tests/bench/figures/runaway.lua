-- Scripts that run away: how soon signals reach the workload, whether checks keep their times, and how soon tend is back
-- after a pattern that nothing can interrupt.
local alive = require "alive"
local lab = require "lab"
local native = require "benchnative"
local rounds = require "rounds"
local tend = require "tend"

local PROCESSES = 10

local CALM = "local checks = {}\n"
local LOOPS = [[
local function forever() while true do end end
local function sort()
  local t = {}
  for i = 1, 100000 do t[i] = (i * 7919) % 100003 end
  table.sort(t, function(a, b) return a < b end)
  return true
end
local checks = {
  { name = "forever", interval = 1, timeout = 1, check = forever },
  { name = "sort", interval = 1, timeout = 1, check = sort },
}
]]

local BUSY = "a check in `while true do end`, one in a sort of 100,000 elements, each second"

-- With two policies that loop and sort all the time, or without.
local function alone(name, loops, note)
  return {
    name = name, ours = true, note = note,
    make = function(_, place)
      local text = loops .. ([[
return { name = "demo", mode = "server", processes = { main = { command = %s } }, checks = checks }
]]):format(tend.words(place.child))
      return tend.flow(place, "demo", text), tend.env(place)
    end,
  }
end

local bomb = {
  name = "tend", ours = true, note = '(("a"):rep(1e5)):find((".-"):rep(40) .. "b") in a check',
  make = function(_, place)
    local text = ([[
return { name = "demo", mode = "server", processes = { main = { command = %s } },
  checks = { { name = "guilty", interval = 1, check = function()
    log.info "the bomb begins"
    timer.sleep(0.05)
    return (("a"):rep(1e5)):find((".-"):rep(40) .. "b")
  end } } }
]]):format(tend.words(place.child))
    return tend.flow(place, "demo", text), tend.env(place)
  end,
}

local function stop(c)
  local run = rounds.start(c, 1)
  native.sleep(0.5 + math.random() * 0.8) -- the first checks come within the first second
  local at = run:term()
  local told = assert(run:wait("T", 1, 5), "the child's handler did not run")
  assert(run:gone(15), "it still runs after 15 s")
  run:close()
  return { handler = (told[1].ns - at) / 1e6 }
end

local function seconds(event, text)
  local h, m, s = text:match('"timestamp": "%d+%-%d+%-%d+T(%d+):(%d+):([%d.]+)Z"[^\n]*"event": "' .. event)
  return h and h * 3600 + m * 60 + s
end

local function explode(c)
  local run = rounds.start(c, 1)
  local child, text = run:child(), ""
  for _ = 1, 100 do
    native.sleep(0.1)
    text = lab.sh(("%s events --state-dir %s --json 2>/dev/null || true"):format(tend.program, lab.quote(run.dir .. "/state")))
    if seconds("quarantined", text) then break end
  end
  local back = assert(seconds("engine_restarted", text), "there was no new engine within 10 s")
  local begun = assert(seconds('message", "message": "the bomb begins', text), "the check did not run")
  assert(text:find('"quarantined": "guilty"', 1, true), "the check is not named")
  assert(native.kill(child, 0) and run:count "S" == 1, "the workload was started again")
  run:close()
  return { back = (back - begun) % 86400 - 0.05 }
end

return {
  name = "runaway",
  title = "Scripts that run away",
  run = function(bench)
    local signals = rounds.run({ alone("tend, calm", CALM), alone("tend, busy", LOOPS, BUSY) }, bench.n(100), stop)
    local checks = rounds.run({ alive.contestant("tend, calm", PROCESSES, CALM), alive.contestant("tend, busy", PROCESSES, LOOPS, BUSY) }, bench.quick and 1 or 3,
      function(c) return alive.measure(c, PROCESSES) end)
    local bombs = rounds.run({ bomb }, bench.n(5), explode)
    return {
      rounds.table(signals, {
        title = "SIGTERM to the child's handler, all of a hundred", unit = "ms", key = "handler", floor = false,
        limit = function() return { most = 5, on = "max" } end,
      }),
      rounds.table(checks, {
        title = "A check's file is removed until the handler of its child runs, interval 1 s, one failure", unit = "ms", key = "checked", floor = false,
        limit = function() return { most = 1100, on = "max" } end,
      }),
      rounds.table(bombs, {
        title = "From the begin of the pattern to a new engine that goes on", unit = "s", key = "back", floor = false,
        about = "The same child, the check quarantined and named.",
        limit = function() return { most = 4, on = "max" } end,
      }),
    }
  end,
}
