-- Runs the real binary for tests: see tests/system/README.md. Whatever a test makes (processes, folders,
-- sockets) is ended and removed when the test ends; what is made outside a test, at the end of the file.
local native = require "native"
local cjson = require "cjson"
local lfs = require "lfs"
local busted = require "busted"
local family = require "family"
local files = require "files"

local h = { native = native }

h.build = os.getenv("BUILD") or "build"
h.slow = tonumber(os.getenv("TEST_SLOW") or "1") -- stretches every deadline, for sanitizers
h.root = native.geteuid() == 0

h.top = lfs.currentdir()
h.tend = h.top .. "/" .. h.build .. "/tend"

native.subreaper()

-- SIGNALS as of Linux on x86 and ARM.
local SIGNALS = {
  HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10, SEGV = 11, USR2 = 12,
  PIPE = 13, ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21, TTOU = 22, URG = 23,
  WINCH = 28, IO = 29, PWR = 30, SYS = 31,
}
h.signals = SIGNALS

local function signal_number(sig)
  return math.tointeger(sig) or SIGNALS[sig] or error("no such signal: " .. tostring(sig), 3)
end

-- What is open: by test and by file.
local in_test = false -- or the test
local scopes = { file = {}, test = {} }

local function register(thing)
  local list = in_test and scopes.test or scopes.file
  list[#list + 1] = thing
  return thing
end

--- Ends the test as skipped, for that reason; a library's way to say `pending`.
function h.skip(reason)
  if not in_test then error(reason, 2) end
  in_test.env.pending(reason)
end

h.quote, h.write, h.read, h.exists, h.sh = files.quote, files.write, files.read, files.exists, files.sh
h.stat, h.stopwatch = family.stat, family.stopwatch

--- A new folder, removed at the end.
function h.tempdir()
  local path = assert(native.mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/tend-test-XXXXXX"))
  register { close = function() os.execute("rm -rf --one-file-system " .. files.quote(path)) end }
  return path
end

-- Processes -----------------------------------------------------------------------------------------------------

local Process = {}
Process.__index = Process

local live = {} -- by pid, all that were spawned and whose descriptors are open

local function take(p, key, name)
  local fd = p[key]
  if not fd or p.held then return end
  local text = native.read(fd)
  if text == "" then
    native.close(fd)
    p[key] = nil
    if key == "stdout" and p.tty and p.stdin then native.close(p.stdin); p.stdin = nil end
  elseif text then
    p[name] = p[name] .. text
  end
end

local function feed(p)
  while p.input and p.stdin and #p.input > 0 do
    local n, _, errno = native.write(p.stdin, p.input)
    if not n then
      if errno ~= 11 then p.input = "" end
      break
    end
    p.input = p.input:sub(n + 1)
  end
  if p.input == "" and p.eof and p.stdin then
    native.close(p.stdin)
    p.stdin = nil
  end
end

--- Reads what is there from every process, and waits at most that many milliseconds for it.
local function pump(ms)
  local fds = {}
  for _, p in pairs(live) do
    feed(p)
    if not p.held then
      if p.stdout then fds[#fds + 1] = p.stdout end
      if p.stderr then fds[#fds + 1] = p.stderr end
    end
  end
  native.poll(fds, ms)
  for _, p in pairs(live) do
    take(p, "stdout", "out")
    take(p, "stderr", "err")
  end
end

--- Waits until predicate() is true and returns its value; fails after `deadline` seconds (10).
function h.wait_for(predicate, deadline, what)
  local seconds = (deadline or 10) * h.slow
  local stop = native.now() + seconds
  while true do
    local value = predicate()
    if value then return value end
    if native.now() >= stop then
      local seen = {}
      for _, p in pairs(live) do
        seen[#seen + 1] = ("--- %s\nout: %s\nerr: %s"):format(p.name, p.out:sub(-2000), p.err:sub(-6000))
      end
      error(("waited %g s for %s\n%s"):format(seconds, what or "a condition", table.concat(seen, "\n")), 2)
    end
    pump(10)
  end
end

local function env_list(env)
  local list = {}
  for k, v in pairs(env) do
    if v ~= false then list[#list + 1] = k .. "=" .. tostring(v) end
  end
  table.sort(list)
  return list
end

-- The checkout may lie where another user cannot go: then that user gets a copy of what runs.
local copy
local function for_user(path, o)
  local base = h.top .. "/"
  if not o.uid or path:sub(1, #base) ~= base then return path end
  local probe = assert(native.spawn { argv = { "/usr/bin/test", "-x", path }, env = {}, cwd = "/", uid = o.uid, gid = o.gid })
  native.close(probe.stdout)
  native.close(probe.stderr)
  local how, code
  h.wait_for(function() how, code = native.wait(probe.pid); return how end, 10, "test -x " .. path)
  if code == 0 then return path end
  if not copy then
    local dir = assert(native.mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/tend-test-XXXXXX"))
    table.insert(scopes.file, { close = function() os.execute("rm -rf " .. files.quote(dir)) end })
    h.sh(("cd %s && mkdir -p %s/%s/tests && cp -a flows scripts %s/ && cd %s && cp -a tend tend-helper parts %s/%s/ && cp -a tests/probe %s/%s/tests/")
      :format(files.quote(h.top), dir, h.build, dir, h.build, dir, h.build, dir, h.build))
    copy = dir
  end
  return copy .. "/" .. path:sub(#base + 1)
end

--- Starts any program: { argv = {...}, env, cwd, stdin, pid1, tty, uid, gid, ignore, out_file, pipe_size, held }.
function h.start(o)
  local ignore = {}
  for i, sig in ipairs(o.ignore or {}) do ignore[i] = tostring(signal_number(sig)) end
  local env = { PATH = os.getenv("PATH"), HOME = os.getenv("HOME") or "/" }
  for k, v in pairs(o.env or {}) do env[k] = v end
  local argv = { table.unpack(o.argv) }
  for i, word in ipairs(argv) do argv[i] = for_user(word, o) end
  local made, problem = native.spawn {
    argv = argv, env = env_list(env), cwd = o.cwd, pid1 = o.pid1, tty = o.tty, uid = o.uid, gid = o.gid,
    ignore = ignore, stdin = o.stdin ~= nil, out_file = o.out_file, pipe_size = o.pipe_size,
  }
  if not made then return nil, problem end
  local p = setmetatable(made, Process)
  p.out, p.err, p.name, p.tty, p.held, p.root = "", "", table.concat(o.argv, " "), o.tty, o.held, o.pid1
  if type(o.stdin) == "string" then p.input, p.eof = o.stdin, not o.tty end
  live[p.pid] = p
  return register(p)
end

--- Starts tend: { args = {...}, program (another file of it), env, ... as for start }. The environment holds PATH, HOME, what is given, and
--- places under a folder of its own (p.dir), so that tests do not meet; `bare = true` leaves these out.
function h.spawn(o)
  local argv = { o.program or h.tend }
  for _, a in ipairs(o.args or {}) do argv[#argv + 1] = a end
  local env = { ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"), LLVM_PROFILE_FILE = os.getenv("LLVM_PROFILE_FILE") }
  local dir = o.dir
  if not o.bare then
    dir = dir or h.tempdir()
    if o.uid then native.chown(dir, o.uid, o.gid or o.uid) end
    env.CONTAINER_STATE_DIR = dir .. "/state"
    env.CONTAINER_LOG_DIR = dir .. "/logs"
    env.CONTAINER_DATA_DIR = dir .. "/data"
    env.CONTAINER_OUTPUT_DIR = dir .. "/output"
    env.CONTAINER_ENVIRONMENT = "test"
    env.CONTAINER_HTTP_ADDRESS = "off"
    env.CONTAINER_MIN_FREE_DISK_MB = 1
    env.CONTAINER_LOW_FREE_DISK_MB = 1
  end
  for k, v in pairs(o.env or {}) do env[k] = v end
  local all = {}
  for k, v in pairs(o) do all[k] = v end
  all.argv, all.env = argv, env
  local p, problem = h.start(all)
  if not p then
    if problem:find("own PID namespace", 1, true) then h.skip("not possible here: " .. problem) end
    error(problem, 2)
  end
  p.dir, p.env = dir, env
  return p
end

--- Runs tend to its end: exit code (nil when a signal ended it), standard output, standard error, seconds of CPU.
function h.run(o)
  local p = h.spawn(o)
  local code = p:wait(o.deadline)
  local err = p.err
  -- another user cannot write the coverage data, and its runtime says so
  if h.build == "build-cov" and o.uid then err = err:gsub("profiling:[^\n]*\n", "") end
  return code, p.out, err, p.cpu
end

--- A command that speaks to the engine of `p`: exit code, standard output, standard error.
function h.ask(p, ...)
  return h.run { args = { ... }, dir = p.dir, env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR } }
end

--- Exit code; or nil and the number of the signal that ended it. Its output is read to the end, or for one more
--- second where somebody else still holds the pipe.
function Process:wait(deadline)
  h.wait_for(function() return self:ended() end, deadline, "the end of " .. self.name)
  local stop = native.now() + 1
  while not self.held and (self.stdout or self.stderr) and native.now() < stop do pump(10) end
  return self.code, self.signal
end

--- True when it has ended (without waiting).
function Process:ended()
  if not self.how then
    local how, code, _, cpu = native.wait(self.pid)
    if how then
      self.how, self.cpu = how, cpu -- cpu: seconds, with all that it waited for
      if how == "exit" then self.code = code else self.signal = code end
    end
  end
  return self.how ~= nil
end

--- The first line that matches the Lua pattern, in both streams or the one named ("out", "err").
function Process:wait_line(pattern, deadline, stream)
  return h.wait_for(function()
    for _, name in ipairs(stream and { stream } or { "out", "err" }) do
      for line in self[name]:gmatch("([^\n]*)\n") do
        line = line:gsub("\r$", "")
        if line:find(pattern) then return line end
      end
    end
    return nil
  end, deadline, ("a line that matches %q"):format(pattern))
end

--- All events in the log so far (whole lines of both streams), optionally only those of one name.
function Process:events(name)
  local list = {}
  for _, stream in ipairs { "out", "err" } do
    for line in self[stream]:gmatch("([^\n]*)\n") do
      if line:sub(1, 13) == '{"timestamp":' then
        local ok, event = pcall(cjson.decode, line)
        if not ok then error("the log holds a line that is no JSON: " .. line, 2) end
        if not name or event.event == name then list[#list + 1] = event end
      end
    end
  end
  return list
end

--- The nth (1) event of that name for which where(event) is true; waits for it.
function Process:wait_event(name, o)
  o = o or {}
  return h.wait_for(function()
    local n = 0
    for _, event in ipairs(self:events(name)) do
      if not o.where or o.where(event) then
        n = n + 1
        if n == (o.nth or 1) then return event end
      end
    end
    return nil
  end, o.deadline, ("event %s, number %d"):format(name, o.nth or 1))
end

function Process:kill(sig)
  return native.kill(self.pid, signal_number(sig or "TERM"))
end

--- More for its standard input (needs stdin = true, or tty).
function Process:send(text)
  self.input, self.eof = (self.input or "") .. text, false
  feed(self)
end

function Process:close_stdin()
  self.input, self.eof = self.input or "", true
  feed(self)
end

--- Reads its output again (after `held = true` at the start: an unread pipe).
function Process:release()
  self.held = false
end

--- The pids (as seen here) of all that descend from it, zombies left out.
function Process:children()
  local list = {}
  for _, pid in ipairs(family.descendants(self.pid)) do
    local s = family.stat(pid)
    if s and s.state ~= "Z" then list[#list + 1] = pid end
  end
  return list
end

--- Pids of this test's processes that nobody owns any more: descendants of this program that are no child it started.
function h.orphans()
  local skip, list = {}, {}
  for pid in pairs(live) do skip[pid] = true end
  for _, pid in ipairs(family.descendants(native.getpid(), skip)) do
    local s = family.stat(pid)
    if s and s.state ~= "Z" and s.ppid == native.getpid() then list[#list + 1] = pid end
  end
  return list
end

function Process:close()
  if not self:ended() then
    native.kill(self.pid, SIGNALS.KILL)
    native.kill(self.pid, SIGNALS.CONT)
    h.wait_for(function() return self:ended() end, 10, "the killed " .. self.name)
  end
  for _, key in ipairs { "stdin", "stdout", "stderr" } do
    if self[key] then native.close(self[key]) end
    self[key] = nil
  end
  live[self.pid] = nil
end

-- Sockets -------------------------------------------------------------------------------------------------------

--- A listening TCP socket on 127.0.0.1 that nobody accepts from: { port, accept(), close() }.
function h.listen(port)
  local fd, number = assert(native.listen_tcp(port or 0))
  local server = { port = number, fds = {} }
  function server.accept()
    local client = native.accept(fd)
    if client then server.fds[#server.fds + 1] = client end
    return client
  end
  function server.close()
    if not fd then return end
    for _, client in ipairs(server.fds) do native.close(client) end
    native.close(fd)
    fd = nil
  end
  return register(server)
end

--- A port on which nobody listens now, and which no other test gets while this file runs. It is below those that the kernel
--- gives to clients, so that no connection has it by chance.
function h.free_port()
  local first = tonumber((h.read("/proc/sys/net/ipv4/ip_local_port_range") or ""):match("%d+")) or 32768
  local low = first >= 12000 and 10000 or 1024
  for _ = 1, 10000 do
    local port = math.random(low, math.max(first, 2048) - 1)
    local claim = native.claim("tend-test-port-" .. port) -- open to the end of this program
    local fd = claim and native.listen_tcp(port)
    if fd then
      native.close(fd)
      return port
    end
    if claim then native.close(claim) end
  end
  error("no port is free", 2)
end

-- End of test ---------------------------------------------------------------------------------------------------

local function close_scope(name)
  local list = scopes[name]
  scopes[name] = {}
  for i = #list, 1, -1 do
    if getmetatable(list[i]) == Process or list[i].early then list[i]:close() end
  end
  -- what escaped them has become ours; what belongs to the file stays
  local keep = {}
  for _, p in ipairs(scopes.file) do
    if p.pid then keep[p.pid] = true end
  end
  local stop = native.now() + 5
  repeat
    local left = 0
    for _, pid in ipairs(family.descendants(native.getpid(), keep)) do
      left = left + 1
      native.kill(pid, SIGNALS.KILL)
      native.wait(pid)
    end
  until left == 0 or native.now() > stop
  for i = #list, 1, -1 do
    if getmetatable(list[i]) ~= Process and not list[i].early then list[i].close() end
  end
end

busted.subscribe({ "test", "start" }, function(element) in_test = element; return nil, true end)
busted.subscribe({ "test", "end" }, function()
  in_test = false
  close_scope("test")
  return nil, true
end)
busted.subscribe({ "file", "end" }, function() close_scope("file"); return nil, true end)

--- Registers a thing with close() to be closed with the test (or file); one with `early` is closed while the processes
--- that nobody owns still run, the one with its `pid` lives on with the file.
h.register = register

--- What fn makes lives until the end of the file, also when a test calls this.
function h.for_file(fn)
  local test = in_test
  in_test = false
  local ok, result = pcall(fn)
  in_test = test
  return ok and result or error(result, 0)
end
h.Process = Process

return h
