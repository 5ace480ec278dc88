-- net: TCP, UDP and Unix sockets of clients, waiting without blocking. Each call has a time limit: its own, or the socket's.
local core = ...

local net = {}

local Socket = {}
Socket.__index = Socket
Socket.__name = "socket"

function Socket:send(data, timeout)
  return self.core:send(data, timeout or self.timeout)
end

function Socket:receive(what, timeout)
  return self.core:receive(what, timeout or self.timeout)
end

function Socket:close()
  self.core:close()
end

Socket.__close = Socket.close

local function connect(kind, o, needed)
  if type(o) ~= "table" then
    error(("net.%s: expected a table of options, got %s"):format(kind, type(o)), 3)
  end
  for key, value in pairs(o) do
    local expected = key == "timeout" and "number" or needed[key]
    if not expected then
      error(("net.%s.%s: unknown option"):format(kind, tostring(key)), 3)
    elseif type(value) ~= expected then
      error(("net.%s.%s: expected a %s, got %s"):format(kind, key, expected, type(value)), 3)
    end
  end
  for key in pairs(needed) do
    if o[key] == nil or o[key] == "" then
      error(("net.%s.%s: missing"):format(kind, key), 3)
    end
  end
  if o.port and (math.type(o.port) ~= "integer" or o.port < 1 or o.port > 65535) then
    error(("net.%s.port: expected a whole number from 1 to 65535, got %s"):format(kind, o.port), 3)
  end
  local timeout = o.timeout or 10
  local socket, err = core.connect(kind, o.host or o.path, o.port, timeout)
  if not socket then
    return nil, err
  end
  return setmetatable({ core = socket, timeout = timeout }, Socket)
end

local needs = { tcp = { host = "string", port = "number" }, udp = { host = "string", port = "number" }, unix = { path = "string" } }

for kind, needed in pairs(needs) do
  net[kind] = function(o)
    local socket, err = connect(kind, o, needed)
    return socket, err
  end
end

return net
