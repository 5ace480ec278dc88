-- Tasks of scripts: what one that sleeps holds, and what it costs to go from one to the next.
local lab = require "lab"
local rounds = require "rounds"

local ours = { name = "tend", ours = true }

return {
  name = "tasks",
  title = "Tasks of scripts",
  run = function(bench)
    local n, switches = 10000, bench.quick and 100000 or 2000000
    local outcome = rounds.run({ ours }, bench.n(7), function()
      local bytes, ns = lab.sh(("%s %d %d"):format(lab.tool "tasks", n, switches)):match "^(%d+) ([%d.]+)"
      return { memory = assert(tonumber(bytes)) / 1000, switch = assert(tonumber(ns)) / 1000 }
    end)
    return {
      rounds.table(outcome, {
        title = "10,000 tasks that sleep at once: each", unit = "KB", key = "memory", floor = false,
        about = "Coroutine, timer and all that is allocated for it.",
        limit = function() return { most = 3 } end,
      }),
      rounds.table(outcome, {
        title = "From one task to the next", unit = "µs", key = "switch", floor = false,
        about = "A hundred tasks; each waits for what is there already, and whoever is ready goes on.",
        limit = function() return { most = 1 } end,
      }),
    }
  end,
}
