-- A thousand checks a second: their processor time, how late the loop is, memory for each, and whether ten cost as much each.
local lab = require "lab"
local native = require "benchnative"
local proc = require "proc"
local rounds = require "rounds"
local scrape = require "scrape"
local stats = require "stats"
local tend = require "tend"

local FEW, MANY = 10, 1000

local function floor(n, target)
  return { name = ("floor, %d TCP"):format(n), n = n, kind = "tcp", floor = true, make = function(_, place)
    return { lab.tool "prober", "spread", tostring(n), "tcp", tostring(target.port), place.fifo }, {}
  end }
end

local function contestant(n, kind, target)
  local c = { name = ("tend, %d %s"):format(n, kind == "tcp" and "TCP" or kind), n = n, kind = kind, ours = true }
  function c:make(place)
    self.port = scrape.free_port()
    local params = kind == "tcp" and ("host = \"127.0.0.1\", port = %d"):format(target.port) or ("path = %q"):format(target.file)
    local text = ([[
local checks = {}
for i = 1, %d do checks[i] = { name = "c" .. i, kind = %q, params = { %s }, interval = 1, timeout = 1 } end
return { name = "demo", mode = "server", processes = { main = { command = %s } }, checks = checks }
]]):format(n, kind, params, tend.words(place.child))
    return tend.flow(place, "demo", text), tend.env(place, { CONTAINER_HTTP_ADDRESS = "127.0.0.1:" .. self.port })
  end
  return c
end

-- The same before all others on its processors: what is late then is late for a reason of tend's own.
local function first_of_all(c)
  local argv = { "/usr/bin/chrt", "-f", "20" }
  return setmetatable({
    name = c.name .. ", before all others", unlimited = true,
    make = function(self, place)
      local rest, env = c.make(self, place)
      return table.move(rest, 1, #rest, #argv + 1, table.move(argv, 1, #argv, 1, {})), env
    end,
  }, { __index = c })
end

-- The checks so far: tend counts them itself, the floor's are counted by who was asked.
local function made(c, target, text)
  return c.floor and target.server.taken() or scrape.sum(text, "tend_check_duration_seconds_count")
end

local function measure(c, target, settle, take)
  local run = rounds.start(c, 1)
  native.sleep(settle)
  local own = run:split()
  if c.n == MANY + FEW then
    local memory = scrape.engine_memory(own)
    run:close()
    return { memory = memory }
  end
  local memory = not c.floor and scrape.engine_memory(own) or nil -- before anybody asks for /metrics
  local before = not c.floor and scrape.get(c.port, "/metrics")
  local n, cpu, woken, from = made(c, target, before), proc.cpu_ns(own), proc.wakeups(own), native.now()
  native.sleep(take)
  cpu, woken = proc.cpu_ns(own) - cpu, proc.wakeups(own) - woken
  local seconds = (native.now() - from) / 1e9
  local after = not c.floor and scrape.get(c.port, "/metrics")
  n = made(c, target, after) - n
  if n == 0 then error("no check was made", 0) end
  local values = { share = cpu / seconds / 1e7, each = cpu / n / 1e3, rate = n / seconds, wakeups = woken / n, memory = memory }
  if c.ours then
    values.lag = scrape.quantile(before, after, "tend_loop_lag_seconds", 0.99) * 1e3
    values.answer = scrape.load(("get %d /livez 1 100 %g"):format(c.port, take / 4)).p99 / 1e3
  end
  run:close()
  return values
end

return {
  name = "thousand",
  title = "A thousand checks",
  run = function(bench)
    local dir = lab.tempdir()
    local server = lab.serve(0)
    local target = { server = server, port = server.port, file = lab.write(dir .. "/file", "x") }
    local settle, take = bench.quick and 2.5 or 3, bench.quick and 1 or 4
    local list = { floor(MANY, target), floor(FEW, target) }
    for _, kind in ipairs { "tcp", "file" } do
      for _, n in ipairs { FEW, MANY, MANY + FEW } do list[#list + 1] = contestant(n, kind, target) end
    end
    if lab.root and proc.read "/usr/bin/chrt" then list[#list + 1] = first_of_all(contestant(MANY, "tcp", target)) end
    local outcome = rounds.run(list, bench.quick and 1 or 2, function(c) return measure(c, target, settle, take) end)
    server.stop()
    lab.remove(dir)

    local function only(n, most)
      return function(c) return c.n == n and not c.unlimited and { most = most } or nil end
    end
    -- What the engine's memory differs by, for each check.
    local memory = { title = "Private dirty memory of the engine for each check", unit = "bytes", ratio = false, rows = {},
      about = ("The difference between %s and %d checks, by their number. Nobody has asked for /metrics yet."):format(stats.text(MANY + FEW), FEW) }
    local cost = { title = "Processor time of a check among 1,000, of that among 10", unit = "times", ratio = false, rows = {} }
    for _, kind in ipairs { "TCP", "file" } do
      local few, many, more = outcome["tend, 10 " .. kind], outcome["tend, 1000 " .. kind], outcome["tend, 1010 " .. kind]
      local failed = few.failed or many.failed or more.failed
      local bytes, times = {}, {}
      for round, m in pairs(more.medians.memory or {}) do
        local base = (few.medians.memory or {})[round]
        bytes[#bytes + 1] = base and (m - base) * 1024 / MANY
      end
      for round, m in pairs(many.medians.each or {}) do
        local base = (few.medians.each or {})[round]
        times[#times + 1] = base and m / base
      end
      memory.rows[#memory.rows + 1] = { name = "tend, " .. kind, ours = true, samples = bytes, ratios = {}, failed = failed, limit = { most = 2048 } }
      cost.rows[#cost.rows + 1] = { name = "tend, " .. kind, ours = true, samples = times, ratios = {}, failed = failed, limit = { most = 1.2 } }
    end
    return {
      rounds.table(outcome, {
        title = "Processor time of the checks, interval 1 s", unit = "% of a core", key = "share", floor = false, limit = only(MANY, 5),
        about = "All processes of the supervisor. The floor makes 1,000 connections a second, each at its own time.",
      }),
      rounds.table(outcome, { title = "Processor time of one of so many checks", unit = "µs", key = "each", floor = false }),
      cost,
      memory,
      rounds.table(outcome, {
        title = "How late the loop is with so many checks, 99 of 100", unit = "ms", key = "lag", floor = false, limit = only(MANY, 5),
        about = "tend_loop_lag_seconds, the upper bound of the bucket. Real-time priority takes away what other programs add.",
      }),
      rounds.table(outcome, {
        title = "/livez answered with so many checks, 99 of 100", unit = "ms", key = "answer", floor = false, limit = only(MANY, 5),
      }),
      rounds.table(outcome, { title = "Wake-ups for one of so many checks", unit = "a check", key = "wakeups", floor = false }),
      rounds.table(outcome, { title = "Checks really made", unit = "a second", key = "rate", floor = false, more = true }),
    }
  end,
}
