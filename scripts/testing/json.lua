-- JSON as scripts have it: tables with keys 1..n are lists, an empty one is an object, keys stand in order; null is nil in
-- objects and json.null in lists. Reading is dkjson's, which comes with busted.
local dkjson = require "dkjson"

local json = { null = dkjson.null }

local function quote(text)
  return (dkjson.quotestring(text))
end

local encode

local function list_of(value)
  local n = 0
  for key in pairs(value) do
    if math.type(key) ~= "integer" then return nil end
    n = math.max(n, key)
  end
  return n > 0 and n == #value and n
end

local function encode_table(value, seen)
  if seen[value] then error("json.encode: the table holds itself", 0) end
  seen[value] = true
  local parts, n = {}, list_of(value)
  for i = 1, n or 0 do parts[i] = encode(value[i], seen) end
  if not n then
    local keys = {}
    for key in pairs(value) do
      if type(key) ~= "string" then error("json.encode: a table has keys 1..n, or texts", 0) end
      keys[#keys + 1] = key
    end
    table.sort(keys)
    for i, key in ipairs(keys) do parts[i] = quote(key) .. ":" .. encode(value[key], seen) end
  end
  seen[value] = nil
  return n and "[" .. table.concat(parts, ",") .. "]" or "{" .. table.concat(parts, ",") .. "}"
end

function encode(value, seen)
  local kind = type(value)
  if value == nil or value == json.null then return "null" end
  if kind == "string" then return quote(value) end
  if kind == "boolean" then return tostring(value) end
  if math.type(value) == "integer" then return ("%d"):format(value) end
  if kind == "number" and value == value and math.abs(value) ~= math.huge then return ("%.14g"):format(value) end
  if kind ~= "table" then error("json.encode: a " .. kind .. " is nothing for JSON", 0) end
  return encode_table(value, seen)
end

---@param value any
---@return string
function json.encode(value)
  return encode(value, {})
end

local function without_nulls(value)
  if type(value) ~= "table" then return value end
  local list = #value > 0
  for key, item in pairs(value) do
    if item == json.null then
      if not list then value[key] = nil end
    else
      without_nulls(item)
    end
  end
  return value
end

---@param text string
---@return any value, string? problem
function json.decode(text)
  local value, _, problem = dkjson.decode(text, 1, json.null, nil, nil)
  if problem then return nil, problem end
  if value == json.null then return nil end
  return without_nulls(value)
end

return json
