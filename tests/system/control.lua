-- A client of the control socket, for tests: frames in and out, any number of connections.
--
--   local c = control.connect(p)            p: a process of h.spawn; or a path
--   local id = c:send("status", { … })      c:receive() → the next frame as a table, nil at the end of the connection
--   local answer, parts = c:ask("status")   the answer of one request; what belongs to others is kept for them
--   c:raw(bytes)   c:closed()   c:close()
local h = require "harness"
local native = require "native"
local cjson = require "cjson"

local control = {}
local Client = {}
Client.__index = Client

--- Where the engine of p listens.
function control.path(p)
  return h.wait_for(function()
    local path = h.sh("ls " .. h.quote(p.env.CONTAINER_STATE_DIR) .. "/*/control.sock 2>/dev/null"):match "[^\n]+"
    return path
  end, 10, "a control socket")
end

function control.connect(p)
  local path = type(p) == "string" and p or control.path(p)
  local fd = h.wait_for(function() return (native.connect_unix(path)) end, 10, "a connection to " .. path)
  local c = setmetatable({ fd = fd, text = "", last = 0, frames = {} }, Client)
  h.register { close = function() c:close() end }
  return c
end

function control.frame(text)
  return string.pack(">s4", text)
end

--- What the other side does not take within the deadline is left; how many bytes it took.
function Client:raw(bytes, deadline)
  local taken, stop = 0, native.now() + (deadline or 10)
  while taken < #bytes and native.now() < stop do
    local n, _, errno = native.write(self.fd, bytes:sub(taken + 1, taken + 65536))
    if n then
      taken = taken + n
    elseif errno ~= 11 then
      break
    elseif not self:pump() then
      break
    else
      native.poll({ self.fd }, 5)
    end
  end
  return taken
end

function Client:send(op, args, more)
  self.last = self.last + 1
  local request = { v = 1, id = self.last, op = op, args = args and next(args) and args or nil }
  for key, value in pairs(more or {}) do request[key] = value end
  self:raw(control.frame(cjson.encode(request)))
  return self.last
end

--- Reads what is there; false at the end of the connection.
function Client:pump()
  if not self.fd or self.ended then return false end
  local text, _, errno = native.read(self.fd)
  if text == "" or (not text and errno ~= 11) then self.ended = true; return false end
  self.text = self.text .. (text or "")
  return true
end

local function take(self)
  if #self.text < 4 then return nil end
  local n = string.unpack(">I4", self.text)
  if #self.text < 4 + n then return nil end
  local frame = cjson.decode(self.text:sub(5, 4 + n))
  self.text = self.text:sub(5 + n)
  return frame
end

--- The next frame, in the order of their coming; nil at the end of the connection.
function Client:receive(deadline)
  if self.frames[1] then return table.remove(self.frames, 1) end
  local frame, ended
  h.wait_for(function()
    frame = take(self)
    if frame then return true end
    ended = not self:pump()
    frame = take(self)
    if not frame and not ended then native.poll({ self.fd }, 20) end
    return frame or ended
  end, deadline, "a frame of the control socket")
  return frame
end

--- The answer to that request, and the parts before it.
function Client:answer(id, deadline)
  local parts, others = {}, {}
  while true do
    local frame = self:receive(deadline)
    if not frame then error("the connection ended before the answer", 2) end
    if frame.id ~= id then
      others[#others + 1] = frame
    elseif frame.part ~= nil then
      parts[#parts + 1] = frame.part
    else
      table.move(others, 1, #others, #self.frames + 1, self.frames)
      return frame, parts
    end
  end
end

function Client:ask(op, args, more)
  return self:answer(self:send(op, args, more))
end

--- Waits until the other side has hung up; the last frame, if there was one.
function Client:closed(deadline)
  local last
  repeat
    local frame = self:receive(deadline)
    last = frame or last
  until not frame
  return last
end

function Client:close()
  if self.fd then native.close(self.fd) end
  self.fd = nil
end

--- The engine's process id, and how many KiB it holds.
function control.engine(p)
  local pid = h.sh(("cat /proc/%d/task/%d/children"):format(p.pid, p.pid)):match "%d+"
  local kib = tonumber((h.read("/proc/" .. pid .. "/status") or ""):match "VmRSS:%s*(%d+)")
  return tonumber(pid), kib
end

return control
