-- The rules for one record, by the names of its fields. Pure: the same record always breaks the same rules.
local record = require "jobs.record"

local rules = {}

local function email(text)
  if text:find "^[^%s@]+@[^%s@%.]+%.[^%s@]+$" and not text:find("..", 1, true) and #text <= 254 then return text end
  return nil, "expected an address like name@example.com"
end

local function quantity(text)
  if text:find "^[+-]?%d+$" and #text <= 10 then return text end
  return nil, "expected a whole number"
end

local function currency(text)
  if text:find "^%u%u%u$" then return text end
  return nil, "expected a code like EUR"
end

local function required(text)
  if text ~= "" then return text end
  return nil, "it is empty"
end

local by_name = {
  id = required, email = email, quantity = quantity, currency = currency, amount = record.amount, price = record.amount,
  unit_price = record.amount, total = record.amount,
}

local function rule_of(key)
  return by_name[key] or ((key == "date" or key:find "_date$") and record.date) or (key:find "_email$" and email)
end

-- The total is quantity times price, where all three are good.
local function wrong_total(good)
  local price = good.unit_price or good.price
  if not (good.quantity and price and good.total) or good.quantity == "" or price == "" or good.total == "" then return nil end
  local _, _, price_units = record.amount(price)
  local _, _, total_units = record.amount(good.total)
  local count = math.tointeger(tonumber(good.quantity))
  if math.abs(count * 1.0 * price_units) > 9e18 or count * price_units ~= total_units then
    return "total: it is not quantity times price"
  end
end

--- What is wrong with a record; an empty list when nothing is.
---@param payload string  JSON
---@return string[]
function rules.broken(payload)
  if not payload:find "^%s*{" then return { "expected an object" } end
  local object, err = json.decode(payload)
  if not object then return { err.message } end
  if next(object) == nil then return { "it has no fields" } end
  local names, broken, good = {}, {}, {}
  for name in pairs(object) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value, shown = object[name], name:sub(1, 100)
    local key = name:match("^%s*(.-)%s*$"):lower():gsub("[%s-]+", "_")
    local rule = rule_of(key)
    if type(value) == "table" then
      broken[#broken + 1] = shown .. ": expected a plain value"
    elseif rule then
      local text = tostring(value):match "^%s*(.-)%s*$"
      local fine, reason = text, nil
      if text ~= "" or rule == required then fine, reason = rule(text) end
      if fine then
        good[key] = text
      else
        broken[#broken + 1] = ('%s: %s, got "%s"'):format(shown, reason, text:sub(1, (utf8.offset(text, 100) or #text + 1) - 1))
      end
    end
  end
  broken[#broken + 1] = wrong_total(good)
  return broken
end

return rules
