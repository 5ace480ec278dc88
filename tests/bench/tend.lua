-- tend and the floor as contestants: how they are started with n silent children.
local lab = require "lab"

local tend = {}

tend.program = lab.top .. "/" .. lab.build .. "/tend"

--- The environment of every tend here: a place on the tmpfs, no HTTP, restarts at once and without end.
function tend.env(place, more)
  local env = {
    CONTAINER_ENVIRONMENT = "bench",
    CONTAINER_STATE_DIR = place.dir .. "/state", CONTAINER_LOG_DIR = place.dir .. "/logs",
    CONTAINER_DATA_DIR = place.dir .. "/data", CONTAINER_OUTPUT_DIR = place.dir .. "/output",
    CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1, CONTAINER_HTTP_ADDRESS = "off",
    CONTAINER_RESTART_POLICY = "always", CONTAINER_RESTART_DELAY_SECONDS = 0, CONTAINER_MAX_RESTART_ATTEMPTS = 0,
  }
  for k, v in pairs(more or {}) do env[k] = v end
  return env
end

local function words(list)
  local quoted = {}
  for i, w in ipairs(list) do quoted[i] = ("%q"):format(w) end
  return "{ " .. table.concat(quoted, ", ") .. " }"
end
tend.words = words

--- Writes a flow file; returns the command line that runs it.
function tend.flow(place, name, text)
  os.execute("mkdir -p " .. lab.quote(place.dir .. "/flows"))
  lab.write(("%s/flows/%s.lua"):format(place.dir, name), text)
  return { tend.program, "run", "--flows", place.dir .. "/flows", "--flow-name", name }
end

-- The demo flow, its loop replaced by the silent child.
local function demo(_, place, n)
  local text = ([[
return {
  name = "demo",
  summary = "A loop that needs nothing but the machine",
  mode = "server",
  processes = {
    main = { command = %s, description = "says a line every 3 seconds" },
    %s
  },
}
]]):format(words(place.child), n > 1 and ("worker = { command = %s, instances = %d },"):format(words(place.child), n - 1) or "")
  return tend.flow(place, "demo", text), tend.env(place)
end

local function named(_, place, n)
  local text = ([[
local processes = { main = { command = %s } }
for i = 2, %d do processes["worker" .. i] = { command = %s } end
return { name = "demo", mode = "server", processes = processes }
]]):format(words(place.child), n, words(place.child))
  return tend.flow(place, "demo", text), tend.env(place)
end

local function run_rpa1(place, text, uri)
  os.execute("mkdir -p " .. lab.quote(place.dir .. "/data/input"))
  local argv = tend.flow(place, "rpa1", text)
  argv[4] = argv[4] .. ":" .. lab.top .. "/flows"
  argv[#argv + 1] = "--"
  table.move(place.child, 1, #place.child, #argv + 1, argv)
  return argv, tend.env(place, { CONTAINER_RPA_DB_CONNECTION_STRING = uri })
end

-- rpa1 as it is, but without the dependency on its database; what it loads and checks otherwise stays.
local function rpa1(_, place)
  local text = assert(io.open(lab.top .. "/flows/rpa1.lua")):read "a"
  local count
  text, count = text:gsub("database%.rpa %b{}", "false")
  assert(count == 1, "flows/rpa1.lua names its database in another way now")
  return run_rpa1(place, text, "postgresql://app:x@127.0.0.1:1/app")
end

local function command(_, place)
  local argv = { tend.program, "run", "--" }
  return table.move(place.child, 1, #place.child, #argv + 1, argv), tend.env(place)
end

local function floor(_, place, n)
  local argv = { lab.tool "floor", tostring(n) }
  return table.move(place.child, 1, #place.child, 3, argv), {}
end

local function direct(_, place)
  return place.child, {}
end

--- A contestant: { name, make = function(self, place, n) → argv, env; ours; pid1; against = the name of its floor }.
tend.floor = { name = "floor", make = floor }
tend.floor_again = { name = "floor again", make = floor, note = "the same as the floor: what the bench can tell apart" }
tend.direct = { name = "no supervisor", make = direct }
tend.demo = { name = "tend, demo", make = demo, ours = true }
tend.command = { name = "tend run -- COMMAND", make = command, ours = true }
tend.named = { name = "tend, each its own process", make = named, ours = true }
tend.rpa1 = { name = "tend, rpa1", make = rpa1, ours = true, note = "its dependency on the database left out" }

--- rpa1 with the database at that address.
function tend.rpa1_with(uri)
  return {
    name = "tend, rpa1 with its database", ours = true, note = "PostgreSQL answers at once, libpq is loaded",
    make = function(_, place) return run_rpa1(place, assert(io.open(lab.top .. "/flows/rpa1.lua")):read "a", uri) end,
  }
end

--- The same as PID 1 of its own PID namespace.
function tend.pid1(contestant)
  local c = {}
  for k, v in pairs(contestant) do c[k] = v end
  c.name, c.pid1, c.against = contestant.name .. ", as PID 1", true, "floor, as PID 1"
  return c
end

return tend
