-- tend with its HTTP server, and a client that sends what it likes.
--
--   local http = require "endpoint"
--   local p = http.spawn { args = …, env = … }      as h.spawn, with HTTP on a free port: p.port
--   local a = http.get(p, "/livez", { headers = { "X: y" }, from = "127.0.0.2" })    a.status, a.headers, a.body, a.json()
--   local c = http.connect(p)   c:send(text)  c:receive(pattern)  c:closed()  c:close()
local cjson = require "cjson"
local h = require "harness"
local native = require "native"

local http = {}
local Connection = {}
Connection.__index = Connection

--- Starts tend, and waits until it serves. `o.address` replaces ":0"; `o.early`: does not wait.
function http.spawn(o)
  o = o or {}
  local env = { CONTAINER_HTTP_ADDRESS = o.address or ":0" }
  for k, v in pairs(o.env or {}) do env[k] = v end
  local all = {}
  for k, v in pairs(o) do all[k] = v end
  all.env, all.args = env, o.args or { "run", "--", "sleep", "1000" }
  local p = h.spawn(all)
  if not o.early then p.port = math.tointeger(p:wait_event("http_listening").details.port) end
  return p
end

function http.connect(p, o)
  o = o or {}
  local fd = assert(native.connect_tcp(o.six and ("[::1]:" .. p.port) or tostring(p.port), o.from))
  local c = setmetatable({ fd = fd, text = "" }, Connection)
  h.register { close = function() c:close() end }
  return c
end

--- All of it, within 10 s; what the other side does not take any more is left.
function Connection:send(text)
  h.wait_for(function()
    local n, _, errno = native.write(self.fd, text)
    if n then text = text:sub(n + 1) elseif errno ~= 11 and errno ~= 115 then text = "" end
    return text == ""
  end, 10, "a socket that takes bytes")
  return self
end

--- Reads what is there; false at the end of the connection.
function Connection:pump()
  if not self.fd or self.ended then return false end
  local text, _, errno = native.read(self.fd)
  if text == "" or (not text and errno ~= 11) then self.ended = true; return false end
  self.text = self.text .. (text or "")
  return true
end

--- Waits until what came matches the Lua pattern, and returns its captures; nil when the connection ends before.
function Connection:receive(pattern, deadline)
  local found
  h.wait_for(function()
    local more = self:pump()
    found = { self.text:match(pattern) }
    return found[1] or not more
  end, deadline, ("an answer that matches %q, but got: %s"):format(pattern, self.text:sub(-300)))
  return table.unpack(found)
end

--- Waits for the end of the connection.
function Connection:closed(deadline)
  h.wait_for(function() return not self:pump() end, deadline, "the end of a connection")
  return self.text
end

function Connection:close()
  if self.fd then native.close(self.fd) end
  self.fd = nil
end

local function unchunk(text)
  local out, at = {}, 1
  while true do
    local n, stop = text:match("^(%x+)[^\r\n]*\r\n()", at)
    if not n or tonumber(n, 16) == 0 then return table.concat(out) end
    out[#out + 1] = text:sub(stop, stop + tonumber(n, 16) - 1)
    at = stop + tonumber(n, 16) + 2
  end
end
http.unchunk = unchunk

function http.parse(text)
  local head, body = text:match("^(.-\r\n)\r\n(.*)$")
  if not head then return nil, text end
  local a = { status = tonumber(head:match "^HTTP/1%.[01] (%d+)"), headers = {}, head = head, body = body }
  for name, value in head:gmatch("([^\r\n:]+):%s*([^\r\n]*)\r\n") do a.headers[name:lower()] = value end
  if a.headers["transfer-encoding"] == "chunked" then a.body = unchunk(body) end
  function a.json() return cjson.decode(a.body) end
  return a
end

--- One request on a connection of its own. `o`: method, headers (list), host (false: none), from, six, body.
function http.get(p, path, o)
  o = o or {}
  local c = http.connect(p, o)
  local lines = { ("%s %s HTTP/1.1"):format(o.method or "GET", path) }
  if o.host ~= false then lines[#lines + 1] = "Host: " .. (o.host or ("localhost:" .. p.port)) end
  for _, line in ipairs(o.headers or {}) do lines[#lines + 1] = line end
  c:send(table.concat(lines, "\r\n") .. "\r\nConnection: close\r\n\r\n" .. (o.body or ""))
  local answer, raw = http.parse(c:closed())
  c:close()
  return assert(answer, "no HTTP answer: " .. tostring(raw))
end

--- Begins to follow /events; events() gives those so far: { id, type, data (decoded) }.
function http.follow(p, query, headers)
  local c = http.connect(p)
  c:send(("GET /events%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"):format(query or "", headers and headers .. "\r\n" or ""))
  function c.events()
    c:pump()
    local answer = http.parse(c.text)
    local list = {}
    if not answer then return list end
    c.answer = answer
    for block in answer.body:gmatch "(.-)\n\n" do
      local e = { id = tonumber(block:match "id: (%d+)"), type = block:match "event: (%S+)" or "message" }
      local data = block:match "data: ([^\n]*)"
      if data then
        e.data = cjson.decode(data)
        list[#list + 1] = e
      end
    end
    return list
  end
  --- The first one for which where(e) is true.
  function c.wait(where, deadline)
    return h.wait_for(function()
      for _, e in ipairs(c.events()) do if where(e) then return e end end
      return nil
    end, deadline, "an event in the stream")
  end
  return c
end

--- The engine's process, which serves.
function http.engine(p)
  for _, pid in ipairs(p:children()) do
    if h.read("/proc/" .. pid .. "/comm") == "tend\n" then return pid end
  end
  return nil
end

return http
