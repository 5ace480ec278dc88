-- What a row says: its middle, its spread, its ratio, and whether a limit is broken.
local stats = require "stats"

local verdict = {}

local function limit_text(limit)
  if limit.times then return ("≤ %s × floor"):format(stats.text(limit.times)) end
  if limit.most then return "≤ " .. stats.text(limit.most) end
  return ("≥ %s × %s"):format(stats.text(limit.least), limit.of)
end

--- Fills in value, low, high, n, ratio, limit_text, broken of each row; a limit that cannot be held to anything is broken too.
function verdict.table(t)
  local by_name = {}
  for _, row in ipairs(t.rows) do
    by_name[row.name] = row
    row.n = #row.samples
    row.value, row.low, row.high = stats.median(row.samples), stats.quantile(row.samples, 0.1), stats.quantile(row.samples, 0.9)
    row.ratio = row.ratios and stats.median(row.ratios)
  end
  for _, row in ipairs(t.rows) do
    local limit = row.limit
    if limit and not row.skip then
      local bound = limit.times or limit.most
      local value = row.value
      if limit.times then value = row.ratio end
      if limit.least then
        local base = by_name[limit.of]
        if base and base.value then
          row.broken = not value or value < limit.least * base.value
        else
          row.unheld = limit.of .. " is not there to compare with"
        end
      else
        row.broken = not value or value > bound
      end
      row.limit_text = limit_text(limit)
    elseif limit then
      row.limit_text = limit_text(limit)
    end
  end
  return t
end

return verdict
