-- A thousand silent children: the last one's first instruction, the stop of all, memory, wake-ups.
local native = require "benchnative"
local peers = require "peers"
local proc = require "proc"
local rounds = require "rounds"
local tend = require "tend"

local REST_S = 4

return {
  name = "many",
  title = "A thousand children",
  run = function(bench)
    local children = bench.quick and 20 or 1000
    local function measure(c, round)
      local run = rounds.start(c, children, { patient = true })
      local last = 0
      for _, r in ipairs(run.records) do last = math.max(last, r.ns) end
      local values = { start = (last - run.exec_ns) / 1e6 }
      if round <= 2 then
        native.sleep(bench.quick and 0.2 or 2)
        local own = run:split()
        values.memory = proc.private_dirty(own)
        local before = proc.wakeups(own)
        native.sleep(bench.quick and 0.2 or REST_S)
        values.wakeups = (proc.wakeups(own) - before) / REST_S
      else
        native.sleep(c.lived or 0.3)
      end
      if not c.exits_first then
        local at = run:term()
        values.stop = (assert(run:gone(60), "it still runs after 60 s") - at) / 1e6
      end
      run:close()
      return values
    end

    local list = { tend.floor, tend.floor_again, tend.demo, tend.named }
    if bench.peers then
      for _, p in ipairs(peers.list(children)) do
        list[#list + 1] = setmetatable({ slow = p.slow or 3 }, { __index = p })
      end
    end
    local outcome = rounds.run(list, bench.n(9), measure)
    local function times(n) return function() return { times = n } end end
    return {
      rounds.table(outcome, {
        title = "Exec of the supervisor to the first instruction of the last of 1,000 processes", unit = "ms", key = "start", limit = times(2),
        about = "tend's are 999 instances of one process and a main process, or a thousand processes of the flow.",
      }),
      rounds.table(outcome, {
        title = "SIGTERM to the supervisor gone, 1,000 children", unit = "ms", key = "stop", limit = times(2),
        about = "runsvdir goes before its children: not given.",
      }),
      rounds.table(outcome, {
        title = "Private dirty memory with 1,000 silent children", unit = "KiB", key = "memory", floor = false,
        limit = function() return { most = 2400 } end,
      }),
      rounds.table(outcome, {
        title = "Wake-ups at rest, 1,000 silent children", unit = "a second", key = "wakeups", floor = false,
        limit = function() return { most = 0 } end,
      }),
    }
  end,
}
