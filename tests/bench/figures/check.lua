-- Processor time of a check: 100 of them, one a second each, against a C program that makes the same.
local lab = require "lab"
local native = require "benchnative"
local proc = require "proc"
local rounds = require "rounds"
local tend = require "tend"

local CHECKS = 100

local function floor(name, when, kind, target)
  return { name = name, make = function(_, place)
    return { lab.tool "prober", when, tostring(CHECKS), kind, tostring(target), place.fifo }, {}
  end }
end

local function contestant(kind, target)
  local params = {
    tcp = ("host = \"127.0.0.1\", port = %s"):format(target),
    http = ("url = \"http://127.0.0.1:%s/\""):format(target),
  }
  return { name = "tend", ours = true, make = function(_, place)
    local text = ([[
local checks = {}
for i = 1, %d do checks[i] = { name = "c" .. i, kind = %q, params = { %s }, interval = 1, timeout = 1 } end
return { name = "demo", mode = "server", processes = { main = { command = %s } }, checks = checks }
]]):format(CHECKS, kind, params[kind] or ("command = { %q, %q }"):format(target, place.fifo), tend.words(place.child))
    return tend.flow(place, "demo", text), tend.env(place)
  end }
end

return {
  name = "check",
  title = "Checks",
  run = function(bench)
    local tables = {}
    local settle, take = bench.quick and 0.5 or 1.5, bench.quick and 1 or 3
    for _, kind in ipairs { "tcp", "http", "command" } do
      local server = kind ~= "command" and lab.serve(0)
      local target = server and server.port or lab.tool "good"
      local function measure(c)
        local run = rounds.start(c, 1)
        local function made()
          if server then return server.taken() end
          run:wait("C", 1, 0.001)
          return run:count "C"
        end
        native.sleep(settle)
        local own = run:split()
        local before, cpu = made(), proc.cpu_ns(own)
        local from, woken = native.now(), proc.wakeups(own)
        native.sleep(take)
        local n, seconds = made() - before, (native.now() - from) / 1e9
        local values = { cpu = n > 0 and (proc.cpu_ns(own) - cpu) / n / 1e3 or nil, rate = n / seconds, wakeups = (proc.wakeups(own) - woken) / n }
        run:close()
        if n == 0 then error({ skip = "no check was made" }, 0) end
        return values
      end
      local outcome = rounds.run({
        floor("floor", "spread", kind, target), floor("floor, all at once", "once", kind, target), contestant(kind, target),
      }, bench.n(2), measure)
      if server then server.stop() end
      tables[#tables + 1] = rounds.table(outcome, {
        title = ("Processor time of a %s check"):format(kind == "command" and kind or kind:upper()), unit = "µs", key = "cpu",
        about = "The floor makes each check at a time of its own, as tend does so that they do not come together; a hundred at once cost " ..
          "less, since all is still warm: see the other floor. What a command uses itself is not counted.",
        limit = function() return { times = 1.6 } end,
      })
      tables[#tables + 1] = rounds.table(outcome, { title = ("Wake-ups for a %s check"):format(kind), unit = "a check", key = "wakeups" })
      tables[#tables + 1] = rounds.table(outcome, { title = ("Checks of kind %s really made"):format(kind), unit = "a second", key = "rate", floor = false })
    end
    return tables
  end,
}
