-- What happens to one record: fields are trimmed, dates become YYYY-MM-DD, amounts plain decimals, and where a record
-- has a quantity and a price but no total, the total is added. Pure: the same record always gives the same result.
local record = {}

local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function day_exists(year, month, day)
  if month < 1 or month > 12 or day < 1 then return false end
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return day <= (month == 2 and leap and 29 or DAYS[month])
end

--- "2024-02-29", "2024/02/29", "29.02.2024", each with or without a time behind it.
function record.date(text)
  if text == "" then return text end
  local year, month, day, rest = text:match "^(%d%d%d%d)[-/](%d%d?)[-/](%d%d?)(.*)$"
  if not year then
    day, month, year, rest = text:match "^(%d%d?)%.(%d%d?)%.(%d%d%d%d)(.*)$"
  end
  if not year or not (rest == "" or rest:find "^[T ]%d%d:%d%d") then return nil, "expected a date like 2024-01-31" end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if not day_exists(year, month, day) then return nil, "there is no such day" end
  return ("%04d-%02d-%02d%s"):format(year, month, day, rest)
end

--- An amount in ten-thousandths: "1234.5", "1,234.50", "1.234,50", "EUR 12", "(3.00)" for -3; nil when it is none.
local function amount_units(text)
  local negative = false
  local inner = text:match "^%((.+)%)$"
  if inner then text, negative = inner, true end
  text = text:gsub("\u{20AC}", ""):gsub("[$\u{A3}]", ""):gsub("^%u%u%u%s+", ""):gsub("%s+%u%u%u$", ""):gsub("%s", "")
  local sign = text:match "^[+-]"
  if sign then
    text = text:sub(2)
    negative = negative ~= (sign == "-")
  end
  local whole, fraction = text, ""
  local point, comma = text:match ".*()%.", text:match ".*(),"
  -- the last of the two is the decimal point; one comma alone is one unless three digits follow it
  local decimal
  if point and comma then
    decimal = math.max(point, comma)
  elseif point then
    decimal = not text:find "%..*%." and point or nil
  elseif comma and not text:find ",.*," and not text:find ",%d%d%d$" then
    decimal = comma
  end
  if decimal then whole, fraction = text:sub(1, decimal - 1), text:sub(decimal + 1) end
  if whole:find "[.,]" then
    if not (whole:find "^%d%d?%d?[.,]%d%d%d" and not whole:gsub("[.,]%d%d%d", ""):find "[^%d]") then return nil end
    whole = whole:gsub("[.,]", "")
  end
  if whole == "" then whole = "0" end
  if not whole:find "^%d+$" or not fraction:find "^%d*$" or (fraction == "" and decimal) or #whole > 12 or #fraction > 4 then
    return nil
  end
  local units = tonumber(whole) * 10000 + tonumber((fraction .. "0000"):sub(1, 4))
  return negative and -units or units
end

--- Ten-thousandths as text with at least two decimals.
local function amount_text(units)
  local sign = units < 0 and "-" or ""
  units = math.abs(units)
  local text = ("%s%d.%04d"):format(sign, units // 10000, units % 10000)
  return (text:gsub("0?0$", ""))
end

function record.amount(text)
  if text == "" then return text end
  local units = amount_units(text)
  if not units then return nil, "expected an amount like 1234.50" end
  return amount_text(units), nil, units
end

local amounts = { amount = true, price = true, unit_price = true, total = true }

--- What the header says about a file: its columns and whether a total is added.
---@param header string[]
function record.plan(header)
  local plan = { columns = {}, header = {} }
  for i, name in ipairs(header) do
    name = name:match "^%s*(.-)%s*$"
    local key = name:lower():gsub("[%s-]+", "_")
    plan.header[i] = name
    if key == "date" or key:find "_date$" then
      plan.columns[i] = record.date
    elseif amounts[key] then
      plan.columns[i] = record.amount
    end
    if key == "quantity" then plan.quantity = plan.quantity or i end
    if key == "unit_price" or key == "price" then plan.price = plan.price or i end
    if key == "total" then plan.has_total = true end
  end
  plan.adds_total = plan.quantity ~= nil and plan.price ~= nil and not plan.has_total
  if plan.adds_total then plan.header[#plan.header + 1] = "total" end
  plan.width = #header
  return plan
end

--- The finished fields; nil and a reason when the record is no good.
---@param plan table
---@param fields string[]
function record.transform(plan, fields)
  if #fields ~= plan.width then
    return nil, ("it has %d fields, the header has %d"):format(#fields, plan.width)
  end
  local out = {}
  for i, value in ipairs(fields) do
    if value:find("\0", 1, true) then return nil, ("%s: it holds a zero byte"):format(plan.header[i]) end
    if not utf8.len(value) then return nil, ("%s: it is not valid UTF-8"):format(plan.header[i]) end
    value = value:match "^%s*(.-)%s*$"
    local normalise = plan.columns[i]
    if normalise then
      local good, reason = normalise(value)
      if not good then return nil, ('%s: %s, got "%s"'):format(plan.header[i], reason, value:sub(1, 100)) end
      value = good
    end
    out[i] = value
  end
  if plan.adds_total then
    local quantity, price = out[plan.quantity], out[plan.price]
    if not quantity:find "^[+-]?%d+$" or #quantity > 10 then
      if quantity ~= "" then return nil, ('quantity: expected a whole number, got "%s"'):format(quantity:sub(1, 100)) end
      out[#out + 1] = ""
    elseif price == "" then
      out[#out + 1] = ""
    else
      local count, units = math.tointeger(tonumber(quantity)), amount_units(price)
      if math.abs(count * 1.0 * units) > 9e18 then return nil, "the total is too large" end
      out[#out + 1] = amount_text(count * units)
    end
  end
  return out
end

return record
