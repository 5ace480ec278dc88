-- From the exec of the supervisor to its child's first instruction.
local lab = require "lab"
local peers = require "peers"
local rounds = require "rounds"
local tend = require "tend"

local LIMIT = { [tend.rpa1.name] = { times = 20 } }

local function measure(c)
  local run = rounds.start(c, 1)
  local ms = (run.records[1].ns - run.exec_ns) / 1e6
  run:close()
  return { start = ms }
end

return {
  name = "start",
  title = "Start",
  run = function(bench)
    local list = { tend.floor, tend.floor_again, tend.direct, tend.demo, tend.command, tend.rpa1 }
    if lab.root then
      list[#list + 1] = tend.pid1(tend.floor)
      list[#list + 1] = tend.pid1(tend.demo)
      list[#list + 1] = tend.pid1(tend.rpa1)
    end
    if bench.peers then table.move(peers.list(1), 1, #peers.list(1), #list + 1, list) end
    local outcome = rounds.run(list, bench.n(30), measure)
    return {
      rounds.table(outcome, {
        title = "Exec of the supervisor to its child's first instruction", unit = "ms", key = "start",
        limit = function(c) return c.name:find "rpa1" and LIMIT[tend.rpa1.name] or { times = 6 } end,
      }),
    }
  end,
}
