-- The parts of the API that are C alone, over the world of a test.
local cron = require "testing.cron"
local json = require "testing.json"

-- What ends a call that is over its time.
local plain = { LATE = setmetatable({}, { __tostring = function() return "over its time" end }) }

local function clock_of(world)
  return {
    now = function() return world.now end,
    monotonic = function() return world.now - world.begun + 1000 end,
    format = function(seconds)
      local at = seconds or world.now
      return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(at)) .. (".%03dZ"):format(math.floor(at % 1 * 1000))
    end,
  }
end

local function check_seconds(who, seconds)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    error(("%s: expected seconds as a number, got %s"):format(who, tostring(seconds)), 3)
  end
end

local function timer_of(world)
  local Timer = {}
  Timer.__index = Timer
  function Timer:cancel() world.timers[self] = nil end
  local function add(seconds, fn, every)
    world.serial = world.serial + 1
    local t = setmetatable({ due = world.now + seconds, fn = fn, every = every, serial = world.serial }, Timer)
    world.timers[t] = true
    return t
  end
  return {
    sleep = function(seconds)
      check_seconds("timer.sleep", seconds)
      if world.deadline and world.now + seconds > world.deadline then
        world:advance(world.deadline - world.now)
        world.late = true
        error(plain.LATE, 0)
      end
      world:advance(seconds)
    end,
    after = function(seconds, fn) check_seconds("timer.after", seconds) return add(seconds, fn) end,
    every = function(seconds, fn) check_seconds("timer.every", seconds) return add(seconds, fn, seconds) end,
  }
end

local function log_of(world)
  local log = {}
  for _, level in ipairs { "debug", "info", "warning", "error", "critical" } do
    log[level] = function(message, fields)
      world.log[#world.log + 1] = { level = level, message = tostring(message), fields = fields }
    end
  end
  function log.level(level)
    local before = world.level
    world.level = level or before
    return before
  end
  return log
end

local function json_of(world)
  return {
    null = json.null,
    encode = json.encode,
    decode = function(text)
      local value, problem = json.decode(text)
      if problem then return world.fail("json", problem) end
      return value
    end,
  }
end

local NUMBERS = { HUP = 1, INT = 2, QUIT = 3, KILL = 9, USR1 = 10, USR2 = 12, TERM = 15 }

local function signal_of(world)
  return {
    number = function(name)
      return math.tointeger(name) or NUMBERS[name:gsub("^SIG", "")] or error("signal.number: no signal " .. name, 2)
    end,
    name = function(number)
      for name, n in pairs(NUMBERS) do if n == number then return name end end
      error("signal.name: no signal " .. tostring(number), 2)
    end,
    on = function() error("signal.on is there only in tend script", 2) end,
    stopping = function() return world.stopping or false end,
  }
end

local function cron_of(world)
  local function schedule(expression, options, level)
    local c, problem = cron.parse(expression, options and options.utc)
    if not c and level then error("cron.every: " .. problem, level + 1) end
    if not c then return world.fail("cron", problem) end
    return c
  end
  local module = {}

  function module.parse(expression, options)
    local c, err = schedule(expression, options)
    if not c then return nil, err end
    return {
      next = function(_, after) return c.next(after or world.now) end,
      matches = function(_, at) return c.matches(at or world.now) end,
    }
  end

  function module.every(expression, fn, options)
    local c = schedule(expression, options, 2)
    local timer, job = world:module "timer", {}
    local function arm()
      local at = c.next(world.now)
      job.at, job.timer = at, at and timer.after(at - world.now, function() arm() fn() end)
    end
    arm()
    function job:next() return self.at end
    function job:cancel()
      if self.timer then self.timer:cancel() end
      self.at = nil
    end
    return job
  end

  return module
end

-- Whether a name is among those that somebody wants.
function plain.named(names, name)
  if names == "*" or names == name then return true end
  for _, n in ipairs(type(names) == "table" and names or {}) do
    if n == "*" or n == name then return true end
  end
  return false
end

local function event_of(world)
  local event = {}

  function event.emit(name, details, options)
    world:note("event.emit", name, details)
    world:emit(name, details, { level = options and options.level, message = options and options.message, component = "script" })
    return true
  end

  function event.subscribe(names, fn)
    local subscription = { names = names, fn = fn }
    function subscription:cancel() world.subscriptions[self] = nil end
    world.subscriptions[subscription] = true
    return subscription
  end

  function event.wait(names, seconds)
    local from, till = #world.events, world.now + (seconds or 3600)
    while true do
      for i = from + 1, #world.events do
        if plain.named(names, world.events[i].event) then return world.events[i] end
      end
      local timer = world:next_timer(till)
      if not timer then break end
      world:module "timer".sleep(timer.due - world.now)
    end
    world:module "timer".sleep(till - world.now)
    return world.fail("timeout", "event.wait: it has not come")
  end

  function event.list(options)
    local o, list = options or {}, {}
    for _, e in ipairs(world.events) do
      if e.seq > (o.since or 0) and plain.named(o.name or "*", e.event) then list[#list + 1] = e end
    end
    while #list > (o.max or 1000) do table.remove(list, 1) end
    return list
  end

  return event
end

plain.modules = {
  clock = clock_of, timer = timer_of, log = log_of, json = json_of, signal = signal_of, cron = cron_of, event = event_of,
  state = function(world) return world.state end,
}

return plain
