-- Dependencies: many that take their time are asked at once; a port that opens is noticed soon.
local lab = require "lab"
local native = require "benchnative"
local net = require "native"
local rounds = require "rounds"
local tend = require "tend"

local TAKES_MS, MORE_MS, INTERVAL_MS = 200, 20, 100

local function waiting(n)
  return {
    name = ("tend, %d"):format(n), ours = true,
    make = function(_, place)
      local text = ([[
local dependencies = {}
for i = 1, %d do
  dependencies[i] = { name = "d" .. i, check = function() timer.sleep(%g) return true end }
end
return { name = "demo", mode = "server", processes = { main = { command = %s } }, dependencies = dependencies }
]]):format(n, TAKES_MS / 1000, tend.words(place.child))
      return tend.flow(place, "demo", text), tend.env(place)
    end,
  }
end

-- Servers that take that long for an answer, one for each dependency.
local function asking(n, server)
  return {
    name = ("tend, %d by HTTP"):format(n), ours = true,
    make = function(_, place)
      local text = ([[
local dependencies = {}
for i = 1, %d do
  dependencies[i] = { name = "d" .. i, kind = "http", params = { url = "http://127.0.0.1:%d/" .. i } }
end
return { name = "demo", mode = "server", processes = { main = { command = %s } }, dependencies = dependencies }
]]):format(n, server.port, tend.words(place.child))
      return tend.flow(place, "demo", text), tend.env(place)
    end,
  }
end

local function ready(c)
  local run = rounds.start(c, 1)
  local ms = (run.records[1].ns - run.exec_ns) / 1e6
  run:close()
  return { ready = ms }
end

local port = {
  name = "tend", ours = true,
  make = function(self, place)
    local text = ([[
return {
  name = "demo", mode = "server", processes = { main = { command = %s } },
  dependencies = { { name = "d", kind = "tcp", params = { host = "127.0.0.1", port = %d }, interval = %g, backoff = 1 } },
}
]]):format(tend.words(place.child), self.port, INTERVAL_MS / 1000)
    return tend.flow(place, "demo", text), tend.env(place)
  end,
}

-- The port is bound anew each time; the connection that is taken there is the check that succeeds.
local function opens()
  local fd
  fd, port.port = assert(net.listen_tcp(0))
  net.close(fd)
  local run = rounds.start(port, 1, { n = 0 })
  native.sleep(0.3 + math.random() * INTERVAL_MS / 1000)
  fd = assert(net.listen_tcp(port.port))
  local opened = native.now()
  net.poll({ fd }, 3000)
  local asked = native.now()
  local records = assert(run:wait("S", 1, 5), "the workload was not started")
  net.close(fd)
  run:close()
  return { noticed = (asked - opened) / 1e6, started = (records[1].ns - asked) / 1e6 }
end

return {
  name = "depend",
  title = "Dependencies",
  run = function(bench)
    local list = {}
    for _, n in ipairs { 1, 10, 100 } do list[#list + 1] = waiting(n) end
    local server = lab.serve(TAKES_MS)
    for _, n in ipairs { 1, 10, 100 } do list[#list + 1] = asking(n, server) end
    local outcome = rounds.run(list, bench.n(8), ready)
    server.stop()
    local opened = rounds.run({ port }, bench.n(25), opens)
    return {
      rounds.table(outcome, {
        title = ("Exec of tend to the first instruction of its child, dependencies that take %d ms each"):format(TAKES_MS), unit = "ms",
        key = "ready", floor = false, limit = function() return { most = TAKES_MS + MORE_MS } end,
        about = "Functions that wait, and servers that wait with their answer. The start itself is in it.",
      }),
      rounds.table(opened, {
        title = ("A port opens until it is noticed, retry interval %d ms"):format(INTERVAL_MS), unit = "ms", key = "noticed", floor = false,
        limit = function() return { most = INTERVAL_MS, on = "high" } end,
      }),
      rounds.table(opened, {
        title = "Connection of the check that succeeds to the child's first instruction", unit = "ms", key = "started", floor = false,
        limit = function() return { most = 10, on = "high" } end,
      }),
    }
  end,
}
