-- What tend says over HTTP: a page, numbers out of /metrics, and load on it (helpers/load.c).
local lab = require "lab"
local net = require "native"
local proc = require "proc"

local scrape = {}

--- A port that nobody listens on.
function scrape.free_port()
  local fd, port = assert(net.listen_tcp(0))
  net.close(fd)
  return port
end

--- The answer's body.
function scrape.get(port, path)
  local answer = lab.sh(("exec 3<>/dev/tcp/127.0.0.1/%d && printf 'GET %s HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\nConnection: close\\r\\n\\r\\n' >&3 && cat <&3")
    :format(port, path, port), "bash")
  local body = answer:match "^HTTP/1%.1 200 .-\r\n\r\n(.*)$"
  return body or error(("%s is not answered with 200: %s"):format(path, answer:sub(1, 200)), 0)
end

--- The sum of all series of a metric.
function scrape.sum(text, name)
  local sum = 0
  for line in text:gmatch "[^\n]+" do
    local value = line:match("^" .. name .. "{.*} (%S+)$") or line:match("^" .. name .. " (%S+)$")
    sum = sum + (tonumber(value) or 0)
  end
  return sum
end

--- How many series there are.
function scrape.series(text)
  local n = 0
  for line in text:gmatch "[^\n]+" do n = n + (line:find "^#" and 0 or 1) end
  return n
end

local function buckets(text, name)
  local list = {}
  for le, count in text:gmatch(name .. '_bucket{[^}\n]*le="([^"]+)"[^}\n]*} (%d+)') do
    list[#list + 1] = { le = le == "+Inf" and math.huge or tonumber(le), count = tonumber(count) }
  end
  return list
end

--- Upper bound of the bucket of a histogram in which that quantile lies, of what was added between two texts.
function scrape.quantile(before, after, name, q)
  local a, b = buckets(before, name), buckets(after, name)
  if #b == 0 then error("/metrics has no histogram " .. name, 0) end
  local function added(i) return b[i].count - (a[i] and a[i].count or 0) end
  local all = added(#b)
  for i = 1, #b do
    if added(i) >= q * all then return b[i].le end
  end
end

--- Private dirty memory of the engine among these processes of tend, KiB: of the one that has most.
function scrape.engine_memory(pids)
  local most = 0
  for _, pid in ipairs(pids) do most = math.max(most, proc.private_dirty { pid }) end
  return most
end

--- load get …: { sent, good, bad, p50, p99, max }, microseconds.
function scrape.load(args)
  local said = lab.sh(lab.tool "load" .. " " .. args)
  local n = {}
  for word in said:gmatch "%S+" do n[#n + 1] = tonumber(word) end
  if #n ~= 6 then error("load: " .. said, 0) end
  return { sent = n[1], good = n[2], bad = n[3], p50 = n[4], p99 = n[5], max = n[6] }
end

return scrape
