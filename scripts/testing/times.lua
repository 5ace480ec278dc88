-- Times as specs write them: seconds as a number, or text.
local times = {}

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }

--- "90", "250ms", "1h30m", "2d 12h" or a number as seconds. Raises at the caller's caller for what is none.
---@param value number|string
---@param level? integer
---@return number
function times.seconds(value, level)
  if type(value) == "number" then return value end
  local sum, rest = 0, type(value) == "string" and value:gsub("%s+", "") or ""
  if tonumber(rest) then return tonumber(rest) end
  local some = false
  for number, unit in rest:gmatch "(%d+%.?%d*)(%a+)" do
    if not UNITS[unit] then some = false break end
    sum, some = sum + tonumber(number) * UNITS[unit], true
  end
  if not some or rest:gsub("%d+%.?%d*%a+", "") ~= "" then
    error(('expected seconds, or text such as "90s", "1h30m", "2d", got %s'):format(tostring(value)), (level or 1) + 1)
  end
  return sum
end

return times
