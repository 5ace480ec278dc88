-- From SIGKILL of the child to the first instruction of the next one, without a delay between them.
local lab = require "lab"
local native = require "benchnative"
local peers = require "peers"
local rounds = require "rounds"
local tend = require "tend"

local KILLS = 3

-- Some peers make a child that lived too short wait: theirs has lived longer than that before each kill.
local function measure(c)
  local run = rounds.start(c, 1)
  local values = {}
  for i = 1, c.lived and 1 or KILLS do
    native.sleep(c.lived and c.lived + math.random() or 0.1)
    local at = assert(native.kill(run:child(), lab.KILL))
    local records = assert(run:wait("S", i + 1, 15), "no new child within 15 s")
    values[i] = (records[i + 1].ns - at) / 1e6
  end
  run:close()
  return { restart = values }
end

return {
  name = "restart",
  title = "Restart",
  run = function(bench)
    local list = { tend.floor, tend.floor_again, tend.demo }
    if lab.root then
      list[#list + 1] = tend.pid1(tend.floor)
      list[#list + 1] = tend.pid1(tend.demo)
    end
    if bench.peers then
      for _, name in ipairs { "runsv", "runsvdir", "s6-supervise", "s6-svscan", "supervisord", "monit" } do
        local p = peers[name]
        if not p.missing then
          list[#list + 1] = setmetatable({ slow = math.max(p.slow or 1, 7) }, { __index = p })
        end
      end
    end
    local outcome = rounds.run(list, bench.n(15), measure)
    return {
      rounds.table(outcome, {
        title = "SIGKILL of the child to the next one's first instruction", unit = "ms", key = "restart",
        about = "No delay is set, or the smallest that there is.",
        limit = function() return { times = 1.5 } end,
      }),
    }
  end,
}
