-- At rest with one silent child: private dirty memory and wake-ups of all the supervisor's processes.
local native = require "benchnative"
local peers = require "peers"
local proc = require "proc"
local rounds = require "rounds"
local tend = require "tend"

local SETTLE_S, REST_S = 2, 5

return {
  name = "memory",
  title = "At rest",
  run = function(bench)
    local list = { tend.floor, tend.demo, tend.command }
    if bench.peers then table.move(peers.list(1), 1, #peers.list(1), #list + 1, list) end

    -- They rest together: time is what this figure needs, and private dirty memory does not depend on the others.
    local outcome = rounds.run({}, 0)
    for i, c in ipairs(list) do
      outcome[i] = { contestant = c, samples = { memory = {}, wakeups = {}, processes = {} }, medians = {} }
    end
    local rest = bench.quick and 0.3 or REST_S
    for _ = 1, bench.n(3) do
      local runs = {}
      for i, c in ipairs(list) do
        local ok, run = pcall(rounds.start, c, 1)
        if ok then runs[i] = run else outcome[i].failed = run end
      end
      native.sleep(bench.quick and 0.3 or SETTLE_S)
      local before, own = {}, {}
      for i, run in pairs(runs) do
        own[i] = run:split()
        local s = outcome[i].samples
        s.memory[#s.memory + 1] = proc.private_dirty(own[i])
        s.processes[#s.processes + 1] = #own[i]
        before[i] = proc.wakeups(own[i])
      end
      native.sleep(rest)
      for i, run in pairs(runs) do
        local s = outcome[i].samples
        s.wakeups[#s.wakeups + 1] = (proc.wakeups(own[i]) - before[i]) / rest
        run:close()
      end
    end
    return {
      rounds.table(outcome, {
        title = "Private dirty memory with 1 child", unit = "KiB", key = "memory", floor = false,
        about = "All processes of the supervisor, 2 s after the start.", limit = function() return { most = 700 } end,
      }),
      rounds.table(outcome, {
        title = "Wake-ups at rest, 1 child", unit = "a second", key = "wakeups", floor = false,
        limit = function() return { most = 0 } end,
      }),
      rounds.table(outcome, { title = "Processes of the supervisor", unit = "processes", key = "processes", floor = false }),
    }
  end,
}
