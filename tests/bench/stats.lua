-- Median and spread. Quantiles are interpolated between the two nearest samples.
local stats = {}

function stats.quantile(samples, q)
  if #samples == 0 then return nil end
  local s = table.move(samples, 1, #samples, 1, {})
  table.sort(s)
  local at = 1 + (#s - 1) * q
  local low = math.floor(at)
  local high = math.min(low + 1, #s)
  return s[low] + (s[high] - s[low]) * (at - low)
end

function stats.median(samples)
  return stats.quantile(samples, 0.5)
end

--- A number for people: three significant digits, no exponent.
function stats.text(v)
  if not v then return "–" end
  local size = math.abs(v)
  if size >= 100 then
    local text = ("%.0f"):format(v)
    while text:find "%d%d%d%d%f[,\0]" do text = text:gsub("(%d)(%d%d%d)%f[,\0]", "%1,%2") end
    return text
  end
  if size == 0 then return "0" end
  return (("%%.%df"):format(size >= 10 and 1 or size >= 1 and 2 or size >= 0.1 and 2 or 3)):format(v)
end

return stats
