-- Runs one supervisor with its children in a folder of its own on a tmpfs, tells when what happened, and takes
-- all of it away again.
--
--   local run = lab.start { argv, env, n = 1, pid1 = bool }     -- returns when n children have told their first instruction
--   run.exec_ns, run.records                                    -- of kind "S"; run:wait("T", n) waits for more
--   run:term() ...; run:close()
local native = require "benchnative"
local proc = require "proc"
local lfs = require "lfs"

local lab = { KILL = 9, USR1 = 10, TERM = 15, CONT = 18, STOP = 19 }

lab.build = os.getenv "BUILD" or "build"
lab.top = lfs.currentdir()
lab.child = lab.top .. "/" .. lab.build .. "/bench/stamp"
lab.root = native.root()

function lab.tool(name)
  return lab.top .. "/" .. lab.build .. "/bench/" .. name
end

local function on_tmpfs(path)
  local mounts = proc.read "/proc/mounts" or ""
  return mounts:find(" " .. path .. " tmpfs ", 1, true) ~= nil
end
lab.temporary = on_tmpfs "/dev/shm" and "/dev/shm" or os.getenv "TMPDIR" or "/tmp"
lab.tmpfs = lab.temporary == "/dev/shm"

local null = assert(native.open("/dev/null", "rw"))
lab.null = null

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end
lab.quote = quote

function lab.write(path, text, mode)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  if mode then os.execute(("chmod %s %s"):format(mode, quote(path))) end
  return path
end

--- Output of a shell command (sh, or the one that is named), its last newline dropped.
function lab.sh(command, shell)
  local p = assert(io.popen(shell and shell .. " -c " .. quote(command) .. " 2>&1" or "{ " .. command .. "\n} 2>&1"))
  local out = p:read "a"
  p:close()
  return (out:gsub("\n$", ""))
end

function lab.tempdir()
  return assert(native.mkdtemp(lab.temporary .. "/tend-bench-XXXXXX"))
end

function lab.remove(dir)
  os.execute("rm -rf --one-file-system " .. quote(dir))
end

local Run = {}
Run.__index = Run
local live = {} -- the runs that are open, by pid; whatever else is the bench's child is a left-over

--- Folder and FIFO for a run whose command line must know them: { dir, fifo, child }. The child is the silent one, or
--- another program of the bench: its arguments, and the FIFO as the last.
function lab.place(child)
  local dir = lab.tempdir()
  local fifo = dir .. "/fifo"
  local place = { dir = dir, fifo = fifo, fd = assert(native.fifo(fifo)), child = table.move(child or { lab.child }, 1, #(child or { 1 }), 1, {}) }
  place.child[#place.child + 1] = fifo
  return place
end

--- { place, argv, env, n, pid1, cwd, fds, timeout, patient, orphans }: patient looks at the records now and then, so that
--- the bench takes no processor from many children.
function lab.start(o)
  local place = o.place
  local env = { "PATH=" .. os.getenv "PATH", "HOME=" .. place.dir }
  for k, v in pairs(o.env or {}) do env[#env + 1] = k .. "=" .. tostring(v) end
  local self = setmetatable({ place = place, dir = place.dir, all = {}, name = o.argv[1], orphans = o.orphans, pid1 = o.pid1 }, Run)
  -- every contestant finds the processor awake and busy with the same
  local awake = native.now() + 1000000
  while native.now() < awake do end
  local pid, at = native.launch {
    argv = o.argv, env = env, cwd = o.cwd or place.dir, pid1 = o.pid1, fds = o.fds or { null, null, null },
  }
  if not pid then
    lab.remove(place.dir)
    native.close(place.fd)
    error(at, 0)
  end
  self.pid, self.exec_ns = pid, at
  live[pid] = self
  if (o.n or 1) > 0 then
    self.records = self:wait("S", o.n or 1, o.timeout or 20, o.patient)
    if not self.records then
      self:close()
      error(("%s: only %d of %d children came up in %d s"):format(self.name, self:count "S", o.n or 1, o.timeout or 20), 0)
    end
  end
  return self
end

local function strangers()
  local list = {}
  for child in (proc.read(("/proc/%d/task/%d/children"):format(native.getpid(), native.getpid())) or ""):gmatch "%d+" do
    local pid = math.tointeger(tonumber(child))
    if not live[pid] then list[#list + 1] = pid end
  end
  return list
end

function Run:count(kind)
  local n = 0
  for _, r in ipairs(self.all) do n = n + (r.kind == kind and 1 or 0) end
  return n
end

--- Waits until there are n records of that kind (all so far are counted); returns them, nil when time is over.
function Run:wait(kind, n, seconds, patient)
  local stop = native.now() + math.floor((seconds or 10) * 1e9)
  while true do
    if patient then native.sleep(0.01) end
    if self.orphans then -- some supervisors leave it to others to reap their children
      for _, pid in ipairs(strangers()) do native.wait(pid, 0) end
    end
    native.records(self.place.fd, self.all, patient and 0 or 20)
    if self:count(kind) >= n then
      local list = {}
      for _, r in ipairs(self.all) do
        if r.kind == kind then list[#list + 1] = r end
      end
      return list
    end
    if native.now() > stop then return nil end
  end
end

--- The supervisor's processes, and its children.
function Run:split()
  return proc.split(self.pid, lab.child:match "[^/]+$")
end

--- The pid, as seen here, of its one child.
function Run:child()
  if not self.pid1 then return self.all[#self.all].pid end
  local _, children = self:split()
  assert(#children == 1, "the child is not there")
  return children[1]
end

--- Sends SIGTERM; returns the time of it.
function Run:term()
  return assert(native.kill(self.pid, lab.TERM))
end

--- Time of the supervisor's end, nil when it still runs.
function Run:gone(seconds)
  local at, how, code = native.wait(self.pid, seconds or 30)
  if at then self.ended, self.how, self.code = true, how, code end
  return at
end

--- Ends what is left of it, whoever owns that by now.
function Run:close()
  if not self.ended then
    local left = proc.descendants(self.pid)
    native.kill(self.pid, lab.KILL)
    for _, pid in ipairs(left) do native.kill(pid, lab.KILL) end
    self:gone(10)
  end
  live[self.pid] = nil
  -- all that descends from the bench now comes of this run, unless it is another one
  local stop = native.now() + 10 * 1000000000
  repeat
    local left = strangers()
    for _, pid in ipairs(left) do
      for _, p in ipairs(proc.descendants(pid)) do native.kill(p, lab.KILL) end
      native.kill(pid, lab.KILL)
      native.wait(pid, 2)
    end
  until #left == 0 or native.now() > stop
  native.close(self.place.fd)
  lab.remove(self.dir)
end

lab.PATIENCE_S, lab.taken, lab.disturbed = 0.3, 0, 0
local patience_ns = 60 * 1000000000 -- of a whole run

--- Waits a moment for nothing else to run on this machine; a contestant of several processes suffers from others more than the floor.
function lab.wait_quiet()
  local from = native.now()
  local stop, quiet = from + math.min(patience_ns, math.floor(lab.PATIENCE_S * 1e9)), 0
  lab.taken = lab.taken + 1
  while quiet < 3 do
    local running = tonumber((proc.read "/proc/loadavg" or ""):match "(%d+)/") or 1
    quiet = running <= 1 and quiet + 1 or 0
    if native.now() >= stop then
      patience_ns = patience_ns - (native.now() - from)
      lab.disturbed = lab.disturbed + 1
      return
    end
    if quiet < 3 then native.sleep(0.002) end
  end
end

--- A helper of the bench's own that is no left-over of a run.
function lab.keep(pid, keep)
  live[pid] = keep ~= false and { close = function() live[pid] = nil end } or nil
end

--- A server on 127.0.0.1 that answers after that time (helpers/server.c): { port, taken(), stop() }.
function lab.serve(milliseconds)
  local place = lab.place {}
  local pid = assert(native.launch { argv = { lab.tool "server", tostring(milliseconds), place.fifo }, env = {}, fds = { null, null, null } })
  lab.keep(pid)
  local server, said = {}, {}
  local function next_number()
    local n = #said
    for _ = 1, 50 do
      native.records(place.fd, said, 100)
      if #said > n then return said[#said].pid end
    end
    error "the server says nothing"
  end
  server.port = next_number()
  function server.taken()
    native.kill(pid, lab.USR1)
    return next_number()
  end
  function server.stop()
    native.kill(pid, lab.KILL)
    native.wait(pid, 5)
    lab.keep(pid, false)
    native.close(place.fd)
    lab.remove(place.dir)
  end
  return server
end

--- Ends all runs that a failure has left open.
function lab.close_all()
  while next(live) do select(2, next(live)):close() end
end

return lab
