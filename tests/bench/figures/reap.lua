-- Orphans as PID 1: many at once, and one by one.
local lab = require "lab"
local native = require "benchnative"
local peers = require "peers"
local proc = require "proc"
local rounds = require "rounds"
local tend = require "tend"

-- The init stands still until all are dead, so that only its reaping is measured, not their dying. Nothing looks into their
-- /proc folders: an orphan whose folder has been seen costs the kernel several times as much to take away.
local function burst(c, n)
  local run = rounds.start(c, 1, { child = { lab.tool "orphans", "burst", tostring(n) }, timeout = 30 })
  local own, helper = run:split(), run:child()
  assert(native.kill(helper, lab.USR1))
  assert(run:wait("R", 1, 30), "the orphans did not come up")
  assert(native.kill(run.pid, lab.STOP))
  assert(native.kill(helper, lab.USR1))
  assert(run:wait("Z", 1, 30), "the orphans did not end")
  local cpu = proc.cpu_ns(own)
  local at = assert(native.kill(run.pid, lab.CONT))
  local gone = assert(run:wait("G", 1, 30), "not all were reaped in 30 s")
  native.sleep(0.05)
  local values = { burst = n / (gone[1].ns - at) * 1e9, burst_cpu = (proc.cpu_ns(own) - cpu) / n / 1e3 }
  run:close()
  return values
end

local function trickle(c, n)
  local run = rounds.start(c, 1, { child = { lab.tool "orphans", "trickle", tostring(n) } })
  local own = run:split()
  local cpu = proc.cpu_ns(own)
  local at = assert(native.kill(run:child(), lab.USR1))
  local gone = assert(run:wait("G", 1, 30), "not all were reaped in 30 s")
  local values = { trickle = n / (gone[1].ns - at) * 1e9, trickle_cpu = (proc.cpu_ns(own) - cpu) / n / 1e3 }
  run:close()
  return values
end

return {
  name = "reap",
  title = "Orphans",
  run = function(bench)
    if not lab.root then return {} end
    local most, one_by_one = bench.quick and 200 or 10000, bench.quick and 50 or 1000
    local list = { tend.pid1(tend.floor), tend.pid1(tend.demo) }
    list[1].against = nil
    if bench.peers then
      for _, name in ipairs { "tini", "dumb-init", "catatonit", "s6-svscan" } do
        if not peers[name].missing then list[#list + 1] = setmetatable({ pid1 = true }, { __index = peers[name] }) end
      end
    end
    local outcome = rounds.run(list, bench.n(16), function(c)
      local values = burst(c, most)
      for k, v in pairs(trickle(c, one_by_one)) do values[k] = v end
      return values
    end)
    local function of_tini(title, key, limit)
      return rounds.table(outcome, {
        title = title, unit = "a second", key = key, more = true, floor = "tini", limit = limit and function() return { times_least = 0.9 } end,
      })
    end
    return {
      of_tini(("Orphans reaped, %d dead at once, as PID 1"):format(most), "burst", true),
      of_tini(("Orphans made and reaped one by one, %d, as PID 1"):format(one_by_one), "trickle", true),
      rounds.table(outcome, { title = "Processor time an orphan, at once", unit = "µs", key = "burst_cpu", floor = false }),
      rounds.table(outcome, { title = "Processor time an orphan, one by one", unit = "µs", key = "trickle_cpu", floor = false }),
    }
  end,
}
