-- settings: a flow's own settings, declared at its top, and the values of all.
local core = ...

local settings = {}

local keys = {
  type = "string", unit = "string", default = true, min = "number", max = "number", choices = true,
  secret = "boolean", reloadable = "boolean", required = "boolean", doc = "string",
}
local kinds = { "string", "path", "paths", "integer", "bool", "duration", "choice", "url", "address" }
local alias = { boolean = "bool", text = "string", number = "integer" }

local function is_one_of(list, word)
  for _, one in ipairs(list) do
    if one == word then return true end
  end
  return false
end

local function as_text(value)
  if value == nil then
    return nil
  end
  if type(value) == "table" then
    local parts = {}
    for i, part in ipairs(value) do
      parts[i] = tostring(part)
    end
    return table.concat(parts, ":")
  end
  return tostring(value)
end

local function declare(name, def)
  local where = "settings.declare: " .. tostring(name)
  if type(name) ~= "string" or not name:match("^[A-Z][A-Z0-9_]*$") then
    error(where .. ": a name has capitals, digits and _ only", 3)
  end
  if type(def) ~= "table" then
    error(where .. ": expected a table, e.g. { type = \"integer\", default = 25 }, got " .. type(def), 3)
  end
  for key, value in pairs(def) do
    local expected = keys[key]
    if not expected then
      error(("%s: unknown key %s"):format(where, tostring(key)), 3)
    end
    if expected ~= true and type(value) ~= expected then
      error(("%s.%s: expected a %s, got %s"):format(where, key, expected, type(value)), 3)
    end
  end
  local choices = def.choices
  if type(choices) == "table" then
    choices = table.concat(choices, " ")
  end
  local kind = def.type or (choices and "choice") or "string"
  kind = alias[kind] or kind
  if not is_one_of(kinds, kind) then
    error(("%s.type: \"%s\" is none of %s"):format(where, kind, table.concat(kinds, ", ")), 3)
  end
  core.declare(core.prefix .. name, kind, def.unit or (kind == "duration" and "s" or nil),
    as_text(def.default), def.min, def.max, choices, def.secret, def.reloadable, def.required, def.doc)
end

local function value_of(name)
  local value, known = core.value(core.prefix .. name)
  if not known then
    value, known = core.value("CONTAINER_" .. name)
  end
  if not known then
    value, known = core.value(name)
  end
  return value, known
end

function settings.declare(given)
  if type(given) ~= "table" then
    error("settings.declare: expected a table NAME = { type = …, default = … }, got " .. type(given), 2)
  end
  local names = {}
  for name in pairs(given) do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, name in ipairs(names) do
    declare(name, given[name])
  end
  core.resolve()
  return setmetatable({}, {
    __index = function(_, name)
      local declared = given[name] ~= nil
      if not declared then
        error(("setting %s is not declared here"):format(tostring(name)), 2)
      end
      return (value_of(name))
    end,
    __newindex = function(_, name)
      error(("setting %s cannot be changed by a script"):format(tostring(name)), 2)
    end,
    __pairs = function()
      local i = 0
      return function()
        i = i + 1
        if names[i] then
          return names[i], (value_of(names[i]))
        end
      end
    end,
    __metatable = false,
  })
end

function settings.get(name)
  if type(name) ~= "string" then
    error("settings.get: expected a name, got " .. type(name), 2)
  end
  local value, known = value_of(name)
  if not known then
    error(("settings.get: there is no setting %s"):format(name), 2)
  end
  return value
end

function settings.has(name)
  local value, known = value_of(name)
  return known and value ~= nil
end

function settings.require(name)
  local full = name:match("^CONTAINER_") and name or "CONTAINER_" .. name
  core.require(full)
end

return settings
