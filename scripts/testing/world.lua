-- A world for the functions of a flow: the globals that they have in a container, with fakes for whatever is outside, and a
-- clock that moves only when they wait or a spec says so.
local cores = require "testing.cores"
local plain = require "testing.plain"
local program = require "testing.program"
local times = require "testing.times"

local BEGIN = 1767225600 -- 2026-01-01T00:00:00Z

---@class testing.world
---@field now number the wall clock, seconds since 1970
---@field files table<string, string|table> by path: the text, or { text, mtime, type, size }
---@field log { level: string, message: string, fields: table? }[] lines, the oldest first
---@field calls table[] what was asked of the outside: { "probe.http", params }, …
---@field metrics table<string, number> values by name, with labels as NAME{value,value}
---@field events table[] what was emitted, by the flow or by world:emit
---@field state table<string, any> the table that the flow keeps
---@field errors string[] what timers and subscribers have raised
local World = {}
World.__index = World

-- A mistake of the spec, not of the policy: nothing catches it on the way.
local Forgotten = { __tostring = function(self) return self.message end }

function World:forgotten(what, how)
  local message = ("the world of this spec has no %s; give it: %s"):format(what, how)
  self.missing = self.missing or setmetatable({ message = message }, Forgotten)
  error(self.missing, 0)
end

function World:note(name, ...)
  self.calls[#self.calls + 1] = { name, ... }
end

--- The arguments of each call of a primitive, in order: world:called "probe.http"[1][1].url
---@param name string
---@return table[]
function World:called(name)
  local list = {}
  for _, call in ipairs(self.calls) do
    if call[1] == name then list[#list + 1] = table.move(call, 2, #call, 1, {}) end
  end
  return list
end

--- True when a line of the log holds the text.
---@param text string
---@param level? string
function World:logged(text, level)
  for _, line in ipairs(self.log) do
    if line.message:find(text, 1, true) and (not level or line.level == level) then return true end
  end
  return false
end

-- Time -------------------------------------------------------------------------------------------------------------------

function World:next_timer(till)
  local best
  for timer in pairs(self.timers) do
    local first = not best or timer.due < best.due or timer.due == best.due and timer.serial < best.serial
    if timer.due <= till and first then best = timer end
  end
  return best
end

--- Moves the clock, and runs what timers have for that time.
---@param time number|string
function World:advance(time)
  local till = self.now + times.seconds(time, 2)
  while true do
    local timer = self:next_timer(till)
    if not timer then break end
    self.now = math.max(self.now, timer.due)
    timer.due = timer.every and math.max(timer.due + timer.every, self.now) or nil
    if not timer.every then self.timers[timer] = nil end
    local ok, problem = pcall(timer.fn)
    if self.missing then error(self.missing, 0) end
    if not ok then self.errors[#self.errors + 1] = tostring(problem) end
  end
  self.now = math.max(self.now, till)
end

-- What a part of the API does that this library has no stand-in for.
local function no_core(world, module)
  return setmetatable({ fail = world.fail }, { __index = function(_, name)
    local full = module .. "." .. name
    return function() world:forgotten(full, ('fakes = { ["%s"] = function(…) … end }'):format(full)) end
  end })
end

-- The Lua halves of the API: those of the program that is tested, or of a checkout.
local halves

local function all_halves()
  if halves then return halves end
  halves = {}
  local path = os.getenv "TEND_TEST_API"
  local f <close> = path and io.open(path, "rb") or nil
  if not f then return halves end
  f:seek("set", 0)
  while true do
    local name, size = (f:read "l" or ""):match "^(%S+) (%d+)$"
    if not name then return halves end
    halves[name:gsub("^tend%.", "")] = f:read(tonumber(size)) or ""
  end
end

local function half(name)
  local text = all_halves()[name]
  if text then return text end
  return select(2, program.find(program.scripts .. ":./scripts", "tend/" .. name .. ".lua"))
end

-- Whether the API has a table of that name, also one for which there is nothing here.
local function is_told(name)
  local text = all_halves().stubs or select(2, program.find(program.scripts .. ":./scripts", "tend/_meta/" .. name .. ".lua"))
  return text and ("\n" .. text):find("\n" .. name .. " = {}\n", 1, true) ~= nil
end

-- What scripts can look at and not change.
local function fixed(name, t)
  return setmetatable({}, {
    __index = t,
    __newindex = function(_, key) error(("%s.%s cannot be set: %s cannot be changed"):format(name, tostring(key), name), 2) end,
    __pairs = function() return next, t end,
    __metatable = false,
  })
end

local function overlay(world, name, module)
  for key, fake in pairs(world.given.fakes or {}) do
    local of, field = key:match "^([%w_]+)%.([%w_]+)$"
    if of == name then
      if type(module) ~= "table" then module = {} end
      rawset(module, field, function(...)
        world:note(key, ...)
        return fake(...)
      end)
    end
  end
  return module
end

-- The module, made where it is used first; nil where there is none of that name.
local function open_module(world, name)
  local made = world.modules[name]
  if made ~= nil then return made end
  if plain.modules[name] then
    made = plain.modules[name](world)
  else
    local text = name ~= "xpcall" and not name:find "^repl" and half(name)
    if text then
      local chunk = assert(load(text, "@scripts/tend/" .. name .. ".lua", "t", world.env))
      local core = cores[name] and cores[name](world) or {}
      made = chunk(getmetatable(core) and core or setmetatable(core, getmetatable(no_core(world, name))))
    elseif type(name) == "string" and name:find "^%l[%l_]*$" and is_told(name) then
      made = no_core(world, name)
    end
  end
  made = overlay(world, name, made)
  if type(made) == "table" and getmetatable(made) == nil and name ~= "state" then made = fixed(name, made) end
  world.modules[name] = made
  return made
end

--- A part of the API by its name; nil where there is none.
---@param name string
function World:module(name)
  return open_module(self, name)
end

--- An event of the engine's, for those that have subscribed: world:emit("health_check_failed", { check = "orders" }).
---@param name string
---@param details? table
---@param options? table level, message, component
function World:emit(name, details, options)
  local o = options or {}
  local e = {
    seq = #self.events + 1, time = self.now, timestamp = open_module(self, "clock").format(), level = o.level or "INFO",
    component = o.component or "lifecycle_manager", event = name, message = o.message, details = details or {},
  }
  self.events[e.seq] = e
  for subscription in pairs(self.subscriptions) do
    if plain.named(subscription.names, name) and subscription.busy ~= true then
      subscription.busy = true
      local ok, problem = pcall(subscription.fn, e)
      subscription.busy = false
      if self.missing then error(self.missing, 0) end
      if not ok then self.errors[#self.errors + 1] = tostring(problem) end
    end
  end
end

-- The environment ----------------------------------------------------------------------------------------------------------

local GLOBALS = {
  "assert", "error", "getmetatable", "ipairs", "load", "next", "pairs", "rawequal", "rawget", "rawlen", "rawset", "select",
  "setmetatable", "tonumber", "tostring", "type", "_VERSION",
}

local function copy(from, names)
  local to = {}
  for key, value in pairs(from) do
    if not names or names[key] then to[key] = value end
  end
  return to
end

local function require_of(world)
  local loaded, busy = {}, {}
  return function(name)
    if loaded[name] ~= nil then return loaded[name] end
    local module = open_module(world, name)
    if module ~= nil then return module end
    if busy[name] then error(('require: "%s" requires itself in a circle'):format(name), 2) end
    local file = name:gsub("%.", "/") .. ".lua"
    local path, text = program.find(program.scripts, file)
    if not path then path, text = program.find(program.flows, file) end
    if not path then error(('require: there is no script "%s" in %s or %s'):format(name, program.scripts, program.flows), 2) end
    local chunk = assert(load(text, "@" .. path, "t", world.env))
    busy[name] = true
    local ok, value = pcall(chunk, name, path)
    busy[name] = nil
    if not ok then error(value, 0) end
    if value == nil then value = true end
    loaded[name] = value
    return value
  end
end

local function environment(world)
  local env = {}
  for _, name in ipairs(GLOBALS) do env[name] = _G[name] end
  env._G = env
  for _, name in ipairs { "table", "math", "utf8", "string", "coroutine" } do env[name] = copy(_G[name]) end
  env.string.dump = nil
  env.os = copy(os, { clock = true, date = true, difftime = true })
  env.os.time = function(t) return t and os.time(t) or math.floor(world.now) end
  for _, name in ipairs { "table", "math", "utf8", "string", "coroutine", "os" } do env[name] = fixed(name, env[name]) end
  env.require = require_of(world)
  env.load = function(chunk, name, _, e) return load(chunk, name, "t", e or env) end
  -- what a spec has forgotten, and a deadline, go through every pcall
  env.pcall = function(fn, ...)
    local results = table.pack(pcall(fn, ...))
    if world.missing then error(world.missing, 0) end
    if world.late then error(plain.LATE, 0) end
    return table.unpack(results, 1, results.n)
  end
  env.xpcall = function(fn, handler, ...)
    local results = table.pack(env.pcall(fn, ...))
    if results[1] then return table.unpack(results, 1, results.n) end
    return false, handler(results[2])
  end
  env.collectgarbage = function(what) return collectgarbage(what == "count" and what or "collect") end
  env.print = function(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    open_module(world, "log").info(table.concat(words, "\t"))
  end
  return setmetatable(env, {
    __index = function(_, name)
      local module = open_module(world, name)
      if module == nil then error(('variable "%s" is not defined'):format(tostring(name)), 2) end
      return module
    end,
    __newindex = function(_, name)
      error(('variable "%s" is not declared: write local %s = …'):format(tostring(name), tostring(name)), 2)
    end,
    __metatable = false,
  })
end

-- Settings -----------------------------------------------------------------------------------------------------------------

local function typed(def)
  local text = def.value
  if text == nil then return nil end
  if def.type == "integer" then return math.tointeger(tonumber(text)) end
  if def.type == "bool" then return text == "true" end
  if def.type == "duration" then
    local bare = tonumber(text)
    return bare and times.seconds(text .. (def.unit or "s")) or times.seconds(text)
  end
  return text
end

-- All settings and their values, as tend itself resolves them.
local function resolve(world)
  if world.resolved then return world.resolved end
  local words = { "config", "--json" }
  if world.flow_name then table.move({ "--flow-name", world.flow_name }, 1, 2, 3, words) end
  local answer = program.ask(words, world.given.settings, 3)
  for _, failure in ipairs(answer.failures or {}) do
    if failure.name == "flow file" then error(failure.fix, 0) end
    if failure.value ~= nil then
      error(("%s: %s, expected %s"):format(failure.name, tostring(failure.value), failure.allowed), 0)
    end
  end
  local all = {}
  for _, def in ipairs(answer.settings) do all[def.name] = def end
  for name, value in pairs(world.given.settings or {}) do
    local def = all[name:find "^CONTAINER_" and name or "CONTAINER_" .. name]
    if def and def.secret then def.value = tostring(value) end
  end
  world.resolved = all
  return all
end

function World:declare_setting(name, kind, fallback)
  local all = resolve(self)
  all[name] = all[name] or { type = kind, value = (self.given.settings or {})[name] or fallback }
end

function World:setting(name)
  local def = resolve(self)[name]
  if not def then return nil, false end
  return typed(def), true
end

-- Calling ------------------------------------------------------------------------------------------------------------------

local CPU_SECONDS = 5

--- Calls a function as tend does: within a time on the world's clock, where there is one.
---@param fn function
---@param seconds? number
---@return boolean ok, any ... what it gave, or "timeout" or the message of what it raised
function World:call(fn, seconds, ...)
  self.deadline, self.late = seconds and self.now + seconds or nil, false
  local cpu = os.clock()
  debug.sethook(function()
    if os.clock() - cpu > CPU_SECONDS then
      self.late = true
      error(plain.LATE, 0)
    end
  end, "", 1000000)
  local results = table.pack(pcall(fn, ...))
  debug.sethook()
  self.deadline = nil
  local late, missing = self.late, self.missing
  self.late, self.missing = false, nil
  if missing then error(missing.message, 3) end
  if late then return false, "timeout" end
  if not results[1] then return false, tostring(results[2]) end
  return table.unpack(results, 1, results.n)
end

--- A module of scripts or flows, or a part of the API, as a flow of this world gets it: world:require "policies.scale".
---@param name string
function World:require(name)
  return self.env.require(name)
end

local world = {}

--- What is in `given`: docs/testing.md.
---@return testing.world
function world.new(given, flow_name)
  local w = setmetatable({
    given = given or {}, flow_name = flow_name, now = given and given.now or BEGIN, files = {}, log = {}, calls = {}, metrics = {},
    errors = {}, events = {}, subscriptions = {}, state = given and given.state or {}, timers = {}, serial = 0, modules = {}, added = {},
    commands = {}, level = "INFO",
  }, World)
  w.begun = w.now
  for path, file in pairs(w.given.files or {}) do w.files[path] = file end
  local Failure = { __name = "error", __tostring = function(self) return self.message end }
  w.fail = function(code, message) return nil, setmetatable({ code = code, message = message }, Failure) end
  w.env = environment(w)
  return w
end

return world
