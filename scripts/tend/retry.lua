-- retry: a function called again until it succeeds, with growing pauses between.
--
--   local rows, err = retry { attempts = 5, delay = 0.5 } (function() return postgres.query("rpa_db", "select 1") end)
local retry = ...

local known = {
  attempts = { 3, "a whole number from 1", function(v) return math.type(v) == "integer" and v >= 1 end },
  delay = { 1, "seconds from 0", function(v) return type(v) == "number" and v >= 0 and v < math.huge end },
  backoff = { 2, "a number from 1", function(v) return type(v) == "number" and v >= 1 and v < math.huge end },
  max_delay = { 30, "seconds from 0", function(v) return type(v) == "number" and v >= 0 and v < math.huge end },
  jitter = { 0.1, "a number from 0 to 1", function(v) return type(v) == "number" and v >= 0 and v <= 1 end },
  timeout = { math.huge, "seconds from 0", function(v) return type(v) == "number" and v >= 0 end },
}

local function check(options, level)
  if type(options) ~= "table" then
    error("retry: expected a table of options, got " .. type(options), level + 1)
  end
  for key in pairs(options) do
    if not known[key] then
      error(("retry.%s: unknown option"):format(tostring(key)), level + 1)
    end
  end
  local o = {}
  for key, spec in pairs(known) do
    local value = options[key]
    if value == nil then
      value = spec[1]
    elseif not spec[3](value) then
      error(("retry.%s: expected %s, got %s"):format(key, spec[2], tostring(value)), level + 1)
    end
    o[key] = value
  end
  return o
end

local function run(o, fn, ...)
  local begun, delay = clock.monotonic(), math.min(o.delay, o.max_delay)
  for attempt = 1, o.attempts do
    local results = table.pack(fn(...))
    if results[1] or attempt == o.attempts then
      return table.unpack(results, 1, results.n)
    end
    local pause = delay * (1 + o.jitter * (2 * math.random() - 1))
    if clock.monotonic() + pause - begun > o.timeout then
      return table.unpack(results, 1, results.n)
    end
    timer.sleep(pause)
    delay = math.min(delay * o.backoff, o.max_delay)
  end
end

function retry.run(options, fn, ...)
  local o = check(options, 2)
  if type(fn) ~= "function" then
    error("retry: expected a function, got " .. type(fn), 2)
  end
  return run(o, fn, ...)
end

return setmetatable(retry, {
  __call = function(_, options)
    local o = check(options, 2)
    return function(fn, ...)
      return run(o, fn, ...)
    end
  end,
  __index = function(_, key)
    error(('retry has no "%s"'):format(tostring(key)), 2)
  end,
  __newindex = function()
    error("retry cannot be changed", 2)
  end,
  __metatable = false,
})
