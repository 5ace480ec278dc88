-- Processes with a liveness check each, of a file: how long after its file is gone a process is told to end.
local lab = require "lab"
local native = require "benchnative"
local rounds = require "rounds"
local tend = require "tend"

local alive = {}

--- A contestant with n such processes beside main. `before`: Lua that makes the list `checks`, to which theirs are added.
function alive.contestant(name, n, before, note)
  return {
    name = name, ours = true, note = note,
    make = function(_, place)
      local text = before .. ([[
local processes = { main = { command = %s } }
for i = 1, %d do
  processes["p" .. i] = { command = %s }
  checks[#checks + 1] = { name = "c" .. i, kind = "file", params = { path = %q .. i }, interval = 1, timeout = 1, failures = 1, role = "liveness", process = "p" .. i }
end
return { name = "demo", mode = "server", processes = processes, checks = checks }
]]):format(tend.words(place.child), n, tend.words(place.child), place.dir .. "/alive")
      for i = 1, n do lab.write(place.dir .. "/alive" .. i, "") end
      return tend.flow(place, "demo", text), tend.env(place)
    end,
  }
end

--- Takes the n files away one after another, each at another moment of its check's interval: { checked = milliseconds to SIGTERM }.
function alive.measure(c, n)
  local run = rounds.start(c, n + 1)
  native.sleep(2.5)
  local values = {}
  for i = 1, n do
    local at, told_before = native.now(), run:count "T"
    os.remove(run.dir .. "/alive" .. i)
    local told = assert(run:wait("T", told_before + 1, 5), "no child was ended within 5 s after its check's file was gone")
    values[i] = (told[told_before + 1].ns - at) / 1e6
    lab.write(run.dir .. "/alive" .. i, "")
    native.sleep(math.random() * 0.3)
  end
  run:close()
  return { checked = values }
end

return alive
