-- How soon tend acts: after a check's target is gone, and after its child is.
local lab = require "lab"
local native = require "benchnative"
local rounds = require "rounds"
local tend = require "tend"

local PROCESSES = 20

-- Each process has a liveness check of its own: a file.
local checked = {
  name = "tend", ours = true,
  make = function(_, place)
    local text = ([[
local processes, checks = { main = { command = %s } }, {}
for i = 1, %d do
  processes["p" .. i] = { command = %s }
  checks[i] = { name = "c" .. i, kind = "file", params = { path = %q .. i }, interval = 1, timeout = 1, failures = 1, role = "liveness", process = "p" .. i }
end
return { name = "demo", mode = "server", processes = processes, checks = checks }
]]):format(tend.words(place.child), PROCESSES, tend.words(place.child), place.dir .. "/alive")
    for i = 1, PROCESSES do lab.write(place.dir .. "/alive" .. i, "") end
    return tend.flow(place, "demo", text), tend.env(place)
  end,
}

-- Takes the files away one after another, each at another moment of its check's interval: the children get SIGTERM.
local function lose_files()
  local run = rounds.start(checked, PROCESSES + 1)
  native.sleep(2.5)
  local values = {}
  for i = 1, PROCESSES do
    local at, n = native.now(), run:count "T"
    os.remove(run.dir .. "/alive" .. i)
    local told = assert(run:wait("T", n + 1, 5), "no child was ended within 5 s after its check's file was gone")
    values[i] = (told[n + 1].ns - at) / 1e6
    lab.write(run.dir .. "/alive" .. i, "")
    native.sleep(math.random() * 0.3)
  end
  run:close()
  return { checked = values }
end

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
    local checks = rounds.run({ checked }, 1, lose_files)
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
