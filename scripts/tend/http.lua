-- http: requests that wait without blocking. What a server answers, whatever its status, is a response; nil, err means
-- that there was none.
local core = ...

local http = {}
local TIMEOUT, LIMIT, LIMIT_MAX = 30, 1024 * 1024, 16 * 1024 * 1024

local Response = {}
Response.__index = Response
Response.__name = "http response"

function Response:json()
  return json.decode(self.body)
end

local options = {
  url = "string", method = "string", headers = "table", body = "string", json = "any", timeout = "number", limit = "number",
  redirects = "number", ca_file = "string", cert_file = "string", key_file = "string", proxy = "string", insecure = "boolean",
  cut = "boolean",
}

local function check(o, who)
  if type(o) ~= "table" then
    error(("%s: expected a table, got %s"):format(who, type(o)), 4)
  end
  for key, value in pairs(o) do
    local expected = options[key]
    if not expected then
      error(("%s.%s: unknown option"):format(who, tostring(key)), 4)
    elseif expected ~= "any" and type(value) ~= expected then
      error(("%s.%s: expected a %s, got %s"):format(who, key, expected, type(value)), 4)
    end
  end
  if not o.url then
    error(who .. ".url: missing", 4)
  end
  if o.body and o.json ~= nil then
    error(who .. ".json: either body or json", 4)
  end
  if o.redirects and math.type(o.redirects) ~= "integer" then
    error(("%s.redirects: expected a whole number, got %s"):format(who, tostring(o.redirects)), 4)
  end
  local limit = o.limit or LIMIT
  if math.type(limit) ~= "integer" or limit < 0 or limit > LIMIT_MAX then
    error(("%s.limit: expected bytes as a whole number up to %d, got %s"):format(who, LIMIT_MAX, tostring(limit)), 4)
  end
end

-- { Name = "value" } or a list of "Name: value" → the list, in a fixed order; and the names in lower case.
local function header_lines(headers, who)
  local lines, names = {}, {}
  for key, value in pairs(headers or {}) do
    local line = type(key) == "string" and ("%s: %s"):format(key, tostring(value)) or value
    if type(line) ~= "string" then
      error(who .. ".headers: expected { Name = \"value\" } or a list of \"Name: value\"", 4)
    end
    lines[#lines + 1] = line
    names[line:match("^[^:]*"):lower()] = true
  end
  table.sort(lines)
  return lines, names
end

local function parse_headers(text)
  local headers = {}
  for name, value in text:gmatch("([^:\n]+):[ \t]*([^\n]*)\n") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return headers
end

local function run(o, who)
  check(o, who)
  local headers, names = header_lines(o.headers, who)
  local body = o.body
  if o.json ~= nil then
    body = json.encode(o.json)
    if not names["content-type"] then
      headers[#headers + 1] = "Content-Type: application/json"
    end
    if not names.accept then
      headers[#headers + 1] = "Accept: application/json"
    end
  end
  local status, lines, answer, cut = core.request({
    url = o.url, method = o.method, headers = headers, body = body, max = o.limit or LIMIT, redirects = o.redirects,
    ca_file = o.ca_file, cert_file = o.cert_file, key_file = o.key_file, proxy = o.proxy, insecure = o.insecure,
    cut = o.cut,
  }, o.timeout or TIMEOUT)
  if not status then
    return nil, lines
  end
  return setmetatable({
    status = status, ok = status >= 200 and status <= 299, headers = parse_headers(lines), body = answer, cut = cut,
  }, Response)
end

-- No tail calls here: mistakes are told at the line that is three calls up.
function http.request(o)
  local response, err = run(o, "http.request")
  return response, err
end

local function with(o, more)
  local all = {}
  for key, value in pairs(o or {}) do
    all[key] = value
  end
  for key, value in pairs(more) do
    all[key] = value
  end
  return all
end

function http.get(url, o)
  local response, err = run(with(o, { url = url, method = "GET" }), "http.get")
  return response, err
end

function http.post(url, body, o)
  local response, err = run(with(o, { url = url, method = "POST", [type(body) == "table" and "json" or "body"] = body }), "http.post")
  return response, err
end

return http
