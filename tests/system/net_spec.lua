-- The Lua modules net and dns in scripts, against real sockets.
local h = require "harness"

local python = h.sh "command -v /usr/bin/python3 || command -v python3":match "%S+"

-- Runs a chunk whose assertions say whether all is well.
local function passes(text, ...)
  local file = h.write(h.tempdir() .. "/job.lua", [[
local function fails(code, value, err)
  assert(value == nil and err.code == code, err and tostring(err) or "it did not fail")
  return err.message
end
]] .. text:format(...))
  local code, _, err = h.run { args = { "script", file } }
  assert.equal(0, code, err)
end

-- A server in Python: `text` has its socket as s; what it prints first is returned.
local function serve(text, ...)
  if not python then pending "python3 is not installed" end
  local p = assert(h.start { argv = { python, "-uc", "import socket, sys, time\n" .. text, ... }, cwd = "/" })
  return p:wait_line "^up":match "^up ?(.*)$", p
end

local tcp = [[
s = socket.create_server(("127.0.0.1", 0))
print("up", s.getsockname()[1])
]]

describe("net in scripts", function()
  it("talks TCP in lines, pieces and whole", function()
    local port = serve(tcp .. [[
c, _ = s.accept()
f = c.makefile("rwb")
line = f.readline()
f.write(b"you said " + line + b"\r\nempty next\n\n0123456789rest")
f.flush()
n = len(f.read(int(f.readline())))
c.sendall(b"got %d\n" % n + b"tail without end")
f.close()
c.close()
time.sleep(1000)]])
    passes([[
      local s <close> = assert(net.tcp { host = "localhost", port = %s, timeout = 20 })
      assert(s:send("hello\n"))
      assert(s:receive("line") == "you said hello")
      assert(s:receive("line") == "")
      assert(s:receive("line") == "empty next")
      assert(s:receive("line") == "")
      assert(s:receive(10) == "0123456789")
      assert(s:receive() == "rest")
      assert(s:send("5000000\n"))
      assert(s:send(("x"):rep(5000000)))
      assert(s:receive("line") == "got 5000000")
      fails("closed", s:receive("line"))
      fails("closed", s:receive(1000))
      assert(s:receive() == "tail without end")
      fails("closed", s:receive())
      s:close()
      fails("closed", s:send("x"))
      fails("closed", s:receive())
    ]], port)
  end)

  it("reads until the end, and ends at the time limit", function()
    local port = serve(tcp .. [[
while True:
  c, _ = s.accept()
  word = c.recv(10)
  if word == b"all":
    c.sendall(b"a" * 300000)
    c.close()
  elif word == b"hang":
    keep = c
  elif word == b"endless":
    try:
      while True: c.sendall(b"b" * 65536)
    except OSError: pass]])
    passes([[
      local function ask(word)
        local s = assert(net.tcp { host = "127.0.0.1", port = %s, timeout = 20 })
        assert(s:send(word))
        return s
      end
      local all = ask "all"
      assert(#all:receive("all") == 300000)
      local s = ask "endless"
      assert(s:receive("all", 30) == nil)
      s:close()
      s = ask "hang"
      local message = fails("timeout", s:receive("line", 0.1))
      assert(message:find("127.0.0.1 port", 1, true), message)
      fails("timeout", s:send(("x"):rep(50000000), 0.2))
      fails("closed", s:send("x"))
    ]], port)
  end)

  it("gives up on a line without an end, and lets others run meanwhile", function()
    local port = serve(tcp .. [[
c, _ = s.accept()
try:
  while True: c.sendall(b"x" * 1048576)
except OSError: pass
time.sleep(1000)]])
    passes([[
      -- less what it waited for a CPU: that is the machine's
      local function now()
        return clock.monotonic() - tonumber((fs.read "/proc/self/schedstat" or "0 0"):match "^%%d+ (%%d+)") / 1e9
      end
      local late, last = 0, now()
      timer.every(0.005, function()
        late, last = math.max(late, now() - last), now()
      end)
      local s <close> = assert(net.tcp { host = "127.0.0.1", port = %s, timeout = 20 })
      timer.sleep(0.02)
      assert(fails("too_large", s:receive("line")):find("more than 16 MiB came without an end", 1, true))
      timer.sleep(0.02)
      assert(late < 0.25, "nothing else ran for " .. late .. " s")
    ]], port)
  end)

  it("tells what cannot be reached, and mistakes", function()
    passes([[
      fails("refused", net.tcp { host = "127.0.0.1", port = %d })
      fails("dns", net.tcp { host = "nowhere.invalid", port = 1 })
      fails("refused", net.unix { path = "/nonexistent/socket" })
      for _, o in ipairs { {}, { host = "a" }, { host = "a", port = 0 }, { host = "a", port = 1, pot = 2 }, { host = 1, port = 1 } } do
        assert(not pcall(net.tcp, o))
      end
      assert(not pcall(net.unix, { path = ("x"):rep(200) }))
    ]], h.free_port())
  end)

  it("talks UDP, one datagram at a time", function()
    local port = serve [[
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print("up", s.getsockname()[1])
while True:
  data, peer = s.recvfrom(65536)
  s.sendto(data.upper(), peer)
  s.sendto(b"", peer)
  s.sendto(b"end", peer)]]
    passes([[
      local s <close> = assert(net.udp { host = "127.0.0.1", port = %s, timeout = 20 })
      assert(s:send("one"))
      assert(s:receive() == "ONE")
      assert(s:receive() == "")
      assert(s:receive(1) == "end")
      fails("timeout", s:receive(nil, 0.05))
      fails("too_large", s:send(("x"):rep(70000)))
    ]], port)
  end)

  it("talks to Unix sockets", function()
    local path = h.tempdir() .. "/s"
    serve([[
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("up")
while True:
  c, _ = s.accept()
  c.sendall(c.recv(100)[::-1] + b"\n")]], path)
    passes([[
      local s <close> = assert(net.unix { path = %q })
      assert(s:send("abc"))
      assert(s:receive("line", 20) == "cba")
    ]], path)
  end)

  it("lets others run, refuses a second wait on a socket, and ends with the script", function()
    local port = serve(tcp .. "c, _ = s.accept()\ntime.sleep(1000)")
    passes([[
      local s = assert(net.tcp { host = "127.0.0.1", port = %s, timeout = 1000 })
      timer.after(0, function() s:receive() end)
      timer.sleep(0.05)
      local ok, err = pcall(s.receive, s)
      assert(not ok and tostring(err):find("another task waits", 1, true), tostring(err))
      assert(not pcall(s.close, s))
    ]], port)
  end)
end)

describe("dns in scripts", function()
  it("gives the addresses of a name", function()
    passes [[
      local found = assert(dns.resolve "localhost")
      assert(table.concat(found, " "):find("127.0.0.1", 1, true))
      assert(dns.resolve("10.1.2.3", { timeout = 1 })[1] == "10.1.2.3")
      assert(dns.resolve("::1")[1] == "::1")
      fails("dns", dns.resolve "nowhere.invalid")
      assert(not pcall(dns.resolve, ""))
      assert(not pcall(dns.resolve, "a", { tiemout = 1 }))
    ]]
  end)
end)
