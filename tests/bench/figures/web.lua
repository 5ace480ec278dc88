-- HTTP: /metrics with a thousand series, 2,000 requests a second, and 50 clients that follow the events.
local native = require "benchnative"
local proc = require "proc"
local lab = require "lab"
local rounds = require "rounds"
local scrape = require "scrape"
local tend = require "tend"

local SERIES, RATE, CLIENTS = 1000, 2000, 50

-- A script that keeps a thousand series, and says a line a second.
local function talkative(name)
  return { name = name, ours = true, make = function(self, place)
    self.port = scrape.free_port()
    local text = ([[
local rows = metrics.gauge("rows", "Rows of a table.", { "table" })
for i = 1, %d do rows:set(i * 1.5, { table = "t" .. i }) end
local n = 0
timer.every(1, function() n = n + 1; log.info("line " .. n) end)
return { name = "demo", mode = "server", processes = { main = { command = %s } } }
]]):format(SERIES, tend.words(place.child))
    return tend.flow(place, "demo", text), tend.env(place, { CONTAINER_HTTP_ADDRESS = "127.0.0.1:" .. self.port, CONTAINER_HTTP_DETAIL = "all" })
  end }
end

local function start(c)
  local run = rounds.start(c, 1)
  local stop = native.now() + 5 * 1000000000
  repeat
    native.sleep(0.05)
    local ok, text = pcall(scrape.get, c.port, "/metrics")
    if ok then
      assert(scrape.series(text) > SERIES, "/metrics has too few series")
      native.sleep(1)
      return run
    end
  until native.now() > stop
  error("nobody answers at its HTTP address", 0)
end

local function measure(c, bench)
  local run = start(c)
  local port = c.port
  -- An answer is kept for 100 ms at most: each of these is written anew.
  local anew = scrape.load(("get %d /metrics 1 8 %g"):format(port, bench.quick and 1 or 5))
  local kept = scrape.load(("get %d /metrics 8 %d %g"):format(port, RATE, bench.quick and 1 or 10))
  local live = scrape.load(("get %d /livez 8 %d %g"):format(port, RATE, bench.quick and 1 or 10))
  local values = {
    first = anew.p50 / 1e3, slowest = anew.p99 / 1e3, dropped = kept.bad, late = kept.p99 / 1e3, dropped_live = live.bad, late_live = live.p99 / 1e3,
  }
  if anew.good == 0 then error("/metrics was never answered", 0) end
  run:close()
  return values
end

-- What following costs is what the supervisor uses more than the same one that nobody follows.
local function follow(c, bench)
  local run = start(c)
  local seconds = bench.quick and 2 or 8
  local clients = c.path and io.popen(("%s follow %d '%s' %d %g"):format(lab.tool "load", c.port, c.path, CLIENTS, seconds + 3))
  native.sleep(1.5)
  local own = run:split()
  local cpu, from = proc.cpu_ns(own), native.now()
  native.sleep(seconds)
  local values = { share = (proc.cpu_ns(own) - cpu) / (native.now() - from) * 100 }
  if clients then
    local said = clients:read "a"
    clients:close()
    local left, least = said:match "^(%d+) (%d+) %d+\n$"
    if tonumber(left) ~= CLIENTS then error("load: " .. said, 0) end
    values.events = tonumber(least) / (seconds + 3)
  end
  run:close()
  return values
end

return {
  name = "web",
  title = "HTTP",
  run = function(bench)
    local asked = rounds.run({ talkative "tend" }, 1, function(c) return measure(c, bench) end)
    local alone, events, page = talkative "tend, nobody follows", talkative "tend, events", talkative "tend, the page"
    alone.note = "the script that says a line a second"
    events.path, page.path = "/events?last=0", "/events?state=1"
    local followed = rounds.run({ alone, events, page }, 1, function(c) return follow(c, bench) end)
    local about = ("%d requests a second for 10 s over 8 connections that are kept; a request counts from the moment at which it was due."):format(RATE)
    local function table_of(title, unit, key, limit, text)
      return rounds.table(asked, { title = title, unit = unit, key = key, floor = false, about = text, limit = limit and function() return limit end })
    end
    return {
      table_of("/metrics with 1,000 series, written anew", "ms", "first", { most = 2 }),
      table_of("/metrics with 1,000 series, written anew, 99 of 100", "ms", "slowest"),
      table_of("Requests for /metrics that were not answered", "of 20,000", "dropped", { most = 0, on = "max" }, about),
      table_of("/metrics at that rate, 99 of 100", "ms", "late"),
      table_of("Requests for /livez that were not answered", "of 20,000", "dropped_live", { most = 0, on = "max" }, about),
      table_of("/livez at that rate, 99 of 100", "ms", "late_live"),
      rounds.table(followed, {
        title = "Processor time with 50 clients that follow, an event a second", unit = "% of a core", key = "share", floor = false,
        about = "All processes of the supervisor and all that they do. The page asks for the state as well, which is sent with each event and every 2 s.",
        limit = function(c) return c.path and { most = 2 } end,
      }),
      rounds.table(followed, { title = "What each client got", unit = "events a second", key = "events", floor = false, more = true,
        limit = function(c) return c.path and { least = 0.7 } end }),
    }
  end,
}
