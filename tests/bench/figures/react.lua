-- How soon tend acts: after a check's target is gone, and after its child is.
local alive = require "alive"
local lab = require "lab"
local native = require "benchnative"
local rounds = require "rounds"
local tend = require "tend"

local PROCESSES = 20

local checked = alive.contestant("tend", PROCESSES, "local checks = {}\n")

local function kill_child(c)
  local run = rounds.start(c, 1)
  local values = {}
  for i = 1, 20 do
    native.sleep(0.05)
    local at = assert(native.kill(run:child(), lab.KILL))
    local records = assert(run:wait("S", i + 1, 5), "no new child within 5 s")
    values[i] = (records[i + 1].ns - at) / 1e6
  end
  run:close()
  return { exit = values }
end

return {
  name = "react",
  title = "Reacting",
  run = function(bench)
    local checks = rounds.run({ checked }, 1, function(c) return alive.measure(c, PROCESSES) end)
    local ends = rounds.run({ tend.floor, tend.demo }, bench.quick and 1 or 4, kill_child)
    return {
      rounds.table(checks, {
        title = "A check's file is removed until the handler of its child runs, interval 1 s, one failure", unit = "ms", key = "checked", floor = false,
        limit = function() return { most = 1100, on = "max" } end,
      }),
      rounds.table(ends, {
        title = "SIGKILL of the child until tend has acted: the next one's first instruction", unit = "ms", key = "exit",
        limit = function() return { most = 2 } end,
      }),
    }
  end,
}
