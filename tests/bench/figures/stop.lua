-- From SIGTERM to the supervisor to its child's handler, and to its own end.
local lab = require "lab"
local native = require "benchnative"
local peers = require "peers"
local rounds = require "rounds"
local tend = require "tend"

local function with_cleanup(name, note, handlers)
  return {
    name = name, ours = true, note = note,
    make = function(_, place)
      local text = ('return { name = "demo", mode = "server", processes = { main = { command = %s } }, cleanup = %s }')
        :format(tend.words(place.child), handlers(place))
      return tend.flow(place, "demo", text), tend.env(place)
    end,
  }
end

local cleanup = with_cleanup("tend, cleanup and report", "one cleanup handler, in Lua", function()
  return "{ function() end }"
end)

-- no limit: what a helper's work and its end add, which is another process
local helper = with_cleanup("tend, two cleanups", "a second handler, which removes files through a helper", function(place)
  return ('{ function() end, { name = "temporary", kind = "remove_temporary", params = { path = %q, pattern = "*.tmp" } } }')
    :format(place.dir .. "/output")
end)

local function measure(c)
  local run = rounds.start(c, 1)
  native.sleep((c.lived or 0.2) + math.random() * (c.slow and 1 or 0.05))
  local at = run:term()
  local gone = assert(run:gone(15), "it still runs after 15 s")
  local told = assert(run:wait("T", 1, 1), "the child's handler did not run")
  run:close()
  return { handler = (told[1].ns - at) / 1e6, gone = (gone - at) / 1e6 }
end

return {
  name = "stop",
  title = "Stop",
  run = function(bench)
    local list = { tend.floor, tend.floor_again, tend.direct, tend.demo, cleanup, helper }
    if lab.root then
      list[#list + 1] = tend.pid1(tend.floor)
      list[#list + 1] = tend.pid1(tend.demo)
    end
    if bench.peers then
      for _, p in ipairs(peers.list(1, function(p) return not p.exits_first and not p.leaves end)) do
        list[#list + 1] = p.lived and setmetatable({ slow = math.max(p.slow or 1, 7) }, { __index = p }) or p
      end
    end
    local outcome = rounds.run(list, bench.n(40), measure)
    return {
      rounds.table(outcome, {
        title = "SIGTERM to the child's handler", unit = "ms", key = "handler",
        limit = function() return { times = 3 } end,
      }),
      rounds.table(outcome, {
        title = "SIGTERM to the supervisor gone", unit = "ms", key = "gone",
        about = "tend has written its report by then. runsvdir goes before its children and monit leaves them behind: not given.",
        limit = function(c) return c ~= helper and { times = 4 } or nil end,
      }),
    }
  end,
}
