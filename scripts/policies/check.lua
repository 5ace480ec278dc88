-- What the other policies share: checking the options that a flow gives, with errors at the flow's own line.
local check = {}

local function kind_of(value)
  local t = type(value)
  if t == "nil" then return "nothing" end
  if t == "string" then return ('"%s"'):format(value) end
  if t == "number" or t == "boolean" then return tostring(value) end
  return "a " .. t
end

--- The known key that is most like a wrong one (same letters but for one or two), or nil.
local function nearest(key, known)
  local best, best_score
  for name in pairs(known) do
    local same = 0
    for i = 1, #key do
      if name:find(key:sub(i, i), 1, true) then same = same + 1 end
    end
    local score = same / math.max(#key, #name)
    if score >= 0.7 and (not best or score > best_score or (score == best_score and name < best)) then
      best, best_score = name, score
    end
  end
  return best
end

local types = {
  text = { "text that is not empty", function(v) return type(v) == "string" and v ~= "" end },
  number = { "a number", function(v) return type(v) == "number" end },
  count = { "a whole number of 1 or more", function(v) return math.type(v) == "integer" and v >= 1 end },
  port = { "a port from 1 to 65535", function(v) return math.type(v) == "integer" and v >= 1 and v <= 65535 end },
  boolean = { "true or false", function(v) return type(v) == "boolean" end },
  table = { "a table", function(v) return type(v) == "table" end },
  status = { 'a status such as 200, "200-299" or "2xx", or a list of these', function(v)
    return type(v) == "number" or type(v) == "string" or type(v) == "table"
  end },
  seconds = { 'seconds as a number, or text like "10s"', function(v)
    return (type(v) == "number" and v >= 0) or (type(v) == "string" and v:find("^%d+%.?%d*%a*$") ~= nil)
  end },
  fn = { "a function", function(v) return type(v) == "function" end },
  action = { "a function or a table, or text", function(v) return type(v) == "function" or type(v) == "table" or type(v) == "string" end },
  names = { "the name of a check, or a list of them", function(v) return type(v) == "string" or type(v) == "table" end },
  list = { "a list", function(v) return type(v) == "table" end },
  patterns = { "a pattern of file names, or a list of them", function(v) return type(v) == "string" or type(v) == "table" end },
}

--- Checks the option table of a policy. `known` maps each key to a type's name, with "!" before it where it must be there.
--- Raises at the caller's caller, which is the flow file.
---@param who string   the function's name, for the message: "directory.readable"
---@param options any
---@param known table<string, string>
---@return table
function check.options(who, options, known)
  if type(options) ~= "table" then
    error(("%s: expected a table of options, got %s"):format(who, kind_of(options)), 3)
  end
  for key in pairs(options) do
    if not known[key] then
      local near = type(key) == "string" and nearest(key, known)
      error(("%s.%s: unknown option%s"):format(who, tostring(key), near and ('; did you mean "%s"?'):format(near) or ""), 3)
    end
  end
  for key, spec in pairs(known) do
    local needed, name = spec:match("^(!?)(%a+)$")
    local value = options[key]
    if value == nil then
      if needed == "!" then error(("%s.%s: missing; expected %s"):format(who, key, types[name][1]), 3) end
    elseif not types[name][2](value) then
      error(("%s.%s: expected %s, got %s"):format(who, key, types[name][1], kind_of(value)), 3)
    end
  end
  return options
end

local dependency_keys = { name = "text", description = "text", required = "boolean", timeout = "seconds", interval = "seconds" }

local health_keys = {
  name = "text", description = "text", timeout = "seconds", interval = "seconds", failures = "count", successes = "count",
  window = "table", role = "text", process = "text", unknowns = "count", initial_delay = "seconds", fast_interval = "seconds",
  down_interval = "seconds",
}

local function both(first, second)
  local all = {}
  for key, spec in pairs(first) do all[key] = spec end
  for key, spec in pairs(second) do all[key] = spec end
  return all
end

local function overlay(keys, options, entry)
  for key in pairs(keys) do
    if options[key] ~= nil then entry[key] = options[key] end
  end
  return entry
end

--- The options of a health check: those of `known`, and what every check may have (docs/flow-file.md).
---@param who string
---@param options any
---@param known table<string, string>
---@return table
function check.health_options(who, options, known)
  return check.options(who, options, both(health_keys, known))
end

--- A health check with the options that every check may have, on top of `entry`.
---@param options table
---@param entry table
---@return table
function check.health(options, entry)
  return overlay(health_keys, options, entry)
end

--- The options of a dependency: those of `known`, and name, description, required, timeout, interval.
---@param who string
---@param options any
---@param known table<string, string>
---@return table
function check.dependency_options(who, options, known)
  return check.options(who, options, both(dependency_keys, known))
end

--- A dependency with the options that every one may have, on top of `entry`; required where neither says something else.
---@param options table
---@param entry table
---@return table
function check.dependency(options, entry)
  if entry.required == nil then entry.required = true end
  return overlay(dependency_keys, options, entry)
end

--- A policy as it is given to flows: a name that it does not have is a mistake in the flow, told there.
---@generic T
---@param name string
---@param module T
---@return T
function check.module(name, module)
  return setmetatable(module, { __index = function(_, key)
    local near = type(key) == "string" and nearest(key, module)
    error(("policies.%s has no %s%s"):format(name, kind_of(key), near and ('; did you mean "%s"?'):format(near) or ""), 2)
  end })
end

--- Checks one text argument.
function check.text(who, value)
  if type(value) ~= "string" or value == "" then
    error(("%s: expected text that is not empty, got %s"):format(who, kind_of(value)), 3)
  end
  return value
end

--- A path or a word as part of a check's name.
function check.slug(text)
  return (text:gsub("[^%w]+", "_"):gsub("^_+", ""):gsub("_+$", ""):sub(-40):gsub("^_+", ""))
end

--- Host and port of a URL, the port by its scheme where it names none; nil with a reason.
---@param url string
---@return string? host, integer|string port_or_reason
function check.host_port(url)
  local scheme, rest = url:match("^(%a[%w+.-]*)://(.*)$")
  if not scheme then return nil, "it is no URL" end
  local authority = rest:match("^([^/?#]*)"):gsub("^.*@", "")
  local host, port = authority:match("^%[([^%]]+)%]:?(%d*)$")
  if not host then host, port = authority:match("^([^:]+):?(%d*)$") end
  if not host then return nil, "it names no host" end
  local number = port ~= "" and math.tointeger(tonumber(port)) or ({ http = 80, https = 443 })[scheme:lower()]
  if not number or number < 1 or number > 65535 then return nil, "it names no port" end
  return host, number
end

return check
