-- What a row says: its middle, its spread, its ratio, and whether a limit is broken.
local stats = require "stats"

local verdict = {}

local function limit_text(limit, base)
  local on = limit.on == "high" and "p90 " or limit.on == "max" and "max " or ""
  if limit.times then return ("%s≤ %s × %s"):format(on, stats.text(limit.times), base) end
  if limit.times_least then return ("%s≥ %s × %s"):format(on, stats.text(limit.times_least), base) end
  if limit.most then return on .. "≤ " .. stats.text(limit.most) end
  return on .. "≥ " .. stats.text(limit.least)
end

--- Fills in value, low, high, n, ratio, limit_text, broken of each row; what could not be measured breaks its limit.
function verdict.table(t)
  for _, row in ipairs(t.rows) do
    row.n = #row.samples
    row.value, row.low, row.high, row.max = stats.median(row.samples), stats.quantile(row.samples, 0.1), stats.quantile(row.samples, 0.9),
      stats.quantile(row.samples, 1)
    row.ratio = stats.median(row.ratios)
    local limit = row.limit
    if limit then
      row.limit_text = limit_text(limit, t.ratio)
      local value = limit.on == "high" and row.high or limit.on == "max" and row.max or row.value
      if limit.times or limit.times_least then
        value = row.ratio
        if row.value and not value then row.unheld = t.ratio .. " is not there to compare with" end
      end
      local most, least = limit.times or limit.most, limit.times_least or limit.least
      row.broken = not row.skip and not row.unheld and (not value or most and value > most or least and value < least) or nil
    end
  end
  return t
end

return verdict
