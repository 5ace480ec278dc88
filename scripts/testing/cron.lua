-- Cron expressions for worlds: the same expressions as tend's (scripts/tend/_meta/cron.lua), in UTC or the time zone of the spec.
local cron = {}

local MONTHS = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11, dec = 12 }
local DAYS = { sun = 0, mon = 1, tue = 2, wed = 3, thu = 4, fri = 5, sat = 6 }
local FIELDS = {
  { "second", 0, 59 }, { "minute", 0, 59 }, { "hour", 0, 23 }, { "day of the month", 1, 31 }, { "month", 1, 12, MONTHS },
  { "day of the week", 0, 7, DAYS },
}
local WORDS = {
  ["@hourly"] = "0 * * * *", ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *", ["@weekly"] = "0 0 * * 0", ["@monthly"] = "0 0 1 * *",
  ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *",
}
local FURTHEST = 3660 * 86400 -- ten years

local function value_of(text, field)
  return math.tointeger(tonumber(text)) or field[4] and field[4][text:lower()]
end

-- The set of values of a field; nil where it is none.
local function parse_field(text, field)
  local set = {}
  for part in (text .. ","):gmatch "([^,]*)," do
    local range, step = part:match "^([^/]+)/(%d+)$"
    range, step = range or part, tonumber(step or 1)
    local first, last = range:match "^(%w+)%-(%w+)$"
    if range == "*" then
      first, last = field[2], field[3]
    else
      first, last = value_of(first or range, field), value_of(last or range, field)
      if range ~= part and not range:find "-" then last = field[3] end
    end
    if not first or not last or first < field[2] or last > field[3] or first > last or step < 1 then return nil end
    for v = first, last, step do set[v] = true end
  end
  if field[3] == 7 and set[7] then set[0] = true end
  return set
end

-- Where both days are given one of them is enough.
local function day_matches(c, t)
  local day, week = c[4][t.day], c[6][t.wday - 1]
  if c.any_day or c.any_week then return day and week or false end
  return day or week or false
end

local function matches(c, at)
  local t = os.date((c.utc and "!" or "") .. "*t", at)
  if not (c[1][t.sec] and c[2][t.min] and c[3][t.hour] and c[5][t.month]) then return false end
  return day_matches(c, t)
end

--- A schedule with matches(at) and next(after), times as seconds; nil and a message.
function cron.parse(expression, utc)
  local parts, c = {}, { utc = utc }
  for word in (WORDS[expression] or expression):gmatch "%S+" do parts[#parts + 1] = word end
  if #parts == 5 then table.insert(parts, 1, "0") end
  if #parts ~= 6 then return nil, ('"%s": expected five fields, or six'):format(expression) end
  for i, field in ipairs(FIELDS) do
    c[i] = parse_field(parts[i], field)
    if not c[i] then return nil, ('"%s": %s: "%s"'):format(expression, field[1], parts[i]) end
  end
  c.any_day, c.any_week = parts[4] == "*", parts[6] == "*"
  function c.matches(at) return matches(c, math.floor(at)) end
  function c.next(after)
    local at = math.floor(after) + 1
    local till = at + FURTHEST
    while at < till do
      local t = os.date((utc and "!" or "") .. "*t", at)
      if not (c[5][t.month] and day_matches(c, t)) then
        at = at + (86400 - t.hour * 3600 - t.min * 60 - t.sec) -- no time of this day
      elseif not c[3][t.hour] then
        at = at + 3600 - t.min * 60 - t.sec
      elseif not c[2][t.min] then
        at = at + 60 - t.sec
      elseif matches(c, at) then
        return at
      else
        at = at + 1
      end
    end
  end
  return c
end

return cron
