-- Containers for a test, by podman: storage, run time files and mounts are the file's own, and nothing is left of them.
--
--   local box = require "box"
--   local c = box.run { image = "tend", options = { "--read-only" }, env = { … }, args = { "run", "--", "sleep", "1" } }
--   c:wait_event("startup_completed")  c:wait()   -- as in harness.lua; c.out and c.err are its two streams
--   c:exec("tend", "health")  c:stop(10)  c:inspect("{{.State.ExitCode}}")
--   box.podman { "images" }                       -- exit code, standard output, standard error
--   box.sh("docker images")                       -- a shell for which podman is docker: output, exit code
--
-- The first call in a file makes all this, or skips the test with the reason. The images come from images.sh and are read only
-- here. Mounts live in a mount namespace that ends with the file.
local h = require "harness"
local lfs = require "lfs"

local CONTAINER_SECONDS = 150 -- no container lives longer, whatever happens to the test

local box = {}
local here -- what this file has: dir, env, holder
local count = 0

-- The machine --------------------------------------------------------------------------------------------------------

local function missing_images()
  local p = assert(h.start { argv = { "tests/container/images.sh" }, env = { BUILD = h.build } })
  local code = p:wait(170 / h.slow)
  if code ~= 0 then error("tests/container/images.sh: " .. p.err, 0) end
  local reason = p.out:match("^missing: ([^\n]*)")
  p:close()
  return reason
end

-- podman leaves control groups behind, empty: its parents' and its pods'. Those in use cannot be removed.
local function remove_groups()
  for name in lfs.dir("/sys/fs/cgroup") do
    local parent = "/sys/fs/cgroup/" .. (name:find("^%.") and "" or name .. "/") .. "libpod_parent"
    local there, each, open = pcall(lfs.dir, parent) -- raises where there is none, or where another has just removed it
    if there then
      for child in each, open do
        if child == "conmon" or child:find("^%x+$") then lfs.rmdir(parent .. "/" .. child) end
      end
      lfs.rmdir(parent)
    end
  end
end

local function make()
  local cache = h.top .. "/" .. h.build .. "/container"
  local run = h.tempdir()
  -- what containers write must lie where overlay can: beside the images
  local graph = assert(h.native.mkdtemp(cache .. "/run.XXXXXX"))
  h.register {
    close = function()
      h.wait_for(function() return select(2, h.sh("rm -rf --one-file-system " .. h.quote(graph))) == 0 end, 10, "the end of " .. graph)
      remove_groups()
    end,
  }
  h.write(run .. "/storage.conf", ([[
[storage]
driver = "%s"
graphroot = "%s"
runroot = "%s/root"
[storage.options]
additionalimagestores = ["%s/images"]
]]):format(h.read(cache .. "/driver"):match("%S+"), graph, run, cache))
  h.write(run .. "/containers.conf", (h.read("tests/container/containers.conf"):gsub("@DIR@", run)))
  lfs.mkdir(run .. "/bin")
  h.write(run .. "/bin/docker", [[
#!/bin/bash
# podman in docker's place, without a network
if [ "$1" = run ]; then shift; set -- run --network none "$@"; fi
exec podman "$@"
]])
  h.sh("chmod 755 " .. h.quote(run .. "/bin/docker"))
  local holder = assert(h.start {
    argv = { "/usr/bin/unshare", "-m", "--propagation", "private", "setpriv", "--pdeathsig", "KILL", "sh", "-c", "echo ready; exec sleep 1000" },
  })
  holder:wait_line("^ready$")
  return {
    dir = run, holder = holder,
    env = {
      CONTAINERS_STORAGE_CONF = run .. "/storage.conf", CONTAINERS_CONF = run .. "/containers.conf", BUILDAH_ISOLATION = "chroot", BUILDAH_FORMAT = "docker",
      TMPDIR = run, PATH = run .. "/bin:" .. os.getenv("PATH"),
    },
  }
end

--- What this file has; a folder for its files is `dir`.
function box.get()
  if not here then
    local reason = missing_images()
    if reason then h.skip("no containers here: " .. reason) end
    here = h.for_file(make)
  end
  return here
end

--- Runs a program where the mounts are: exit code, standard output, standard error. o: env, cwd, stdin, deadline (60 s).
function box.inside(argv, o)
  o = o or {}
  local machine = box.get()
  local words = { "/usr/bin/nsenter", "-m", "-t", tostring(machine.holder.pid), "--wd=" .. (o.cwd or h.top) }
  table.move(argv, 1, #argv, #words + 1, words)
  local env = {}
  for k, v in pairs(machine.env) do env[k] = v end
  for k, v in pairs(o.env or {}) do env[k] = v end
  local p = assert(h.start { argv = words, env = env, stdin = o.stdin })
  local code, signal = p:wait(o.deadline or 60)
  -- nobody is there to drive the timers of health checks, and podman says so
  local out, err = p.out, p.err:gsub("[^\n]*unable to get systemd connection[^\n]*\n", "")
  p:close()
  return code or 128 + signal, out, err
end

function box.podman(argv, o)
  return box.inside({ "podman", table.unpack(argv) }, o)
end

--- A shell command, in which docker is podman: its output, standard error last, and its exit code.
function box.sh(command, o)
  local code, out, err = box.inside({ "sh", "-c", command }, o)
  return out .. err, code
end

-- Containers -----------------------------------------------------------------------------------------------------------

local Container = {}
Container.__index = Container

--- Starts one: image ("tend"), options of podman run, env, args; `bare`: no env but that. No network where none is given.
function box.run(o)
  count = count + 1
  local dir = box.get().dir
  local name = ("test-%d-%d"):format(h.native.getpid(), count)
  local c = setmetatable({ name = name, log = dir .. "/" .. name .. ".log", out = "", err = "", early = true }, Container)
  local words = { "run", "-d", "--name", name, "--timeout", tostring(CONTAINER_SECONDS), "--conmon-pidfile", c.log .. ".pid",
    "--log-driver", "k8s-file", "--log-opt", "path=" .. c.log }
  local network = { "--network", "none" }
  for _, w in ipairs(o.options or {}) do
    words[#words + 1] = w
    if w:find("^%-%-network") then network = {} end
  end
  table.move(network, 1, #network, #words + 1, words)
  local env = {}
  if not o.bare then
    env = { CONTAINER_ENVIRONMENT = "test", CONTAINER_MIN_FREE_DISK_MB = "1", CONTAINER_LOW_FREE_DISK_MB = "1" }
  end
  for k, v in pairs(o.env or {}) do env[k] = v end
  for k, v in pairs(env) do table.move({ "--env", k .. "=" .. v }, 1, 2, #words + 1, words) end
  words[#words + 1] = o.image or "tend:latest"
  table.move(o.args or {}, 1, #(o.args or {}), #words + 1, words)
  h.register(c)
  local code, _, err = box.podman(words, { cwd = dir }) -- where it may leave a file "oom"
  if code ~= 0 then error("podman run: " .. err, 2) end
  c.pid = tonumber(h.read(c.log .. ".pid"))
  return c
end

--- Runs one to its end: exit code, standard output, standard error, the container.
function box.run_to_end(o)
  local c = box.run(o)
  local code = c:wait(o.deadline)
  return code, c.out, c.err, c
end

function Container:close()
  box.podman { "rm", "-f", "-t", "0", self.name }
end

function Container:inspect(format)
  local code, out, err = box.podman { "inspect", "--format", format, self.name }
  if code ~= 0 then error("podman inspect: " .. err, 2) end
  return (out:gsub("\n$", ""))
end

--- Its output so far, from podman's own log.
function Container:read()
  local text = { stdout = {}, stderr = {} }
  for stream, full, line in (h.read(self.log) or ""):gmatch("%S+ (%S+) ([FP]) ([^\n]*)\n") do
    local list = text[stream]
    list[#list + 1] = full == "F" and line .. "\n" or line
  end
  self.out, self.err = table.concat(text.stdout), table.concat(text.stderr)
  return self
end

function Container:events(name)
  return h.Process.events(self:read(), name)
end

Container.wait_event = h.Process.wait_event

--- The first line that is as the Lua pattern.
function Container:wait_line(pattern, deadline)
  return h.wait_for(function()
    self:read()
    return ("\n" .. self.out .. self.err):match("\n(" .. pattern .. ")\n")
  end, deadline, ("a line of the container that is %q"):format(pattern))
end

--- Waits for its end: the exit code.
function Container:wait(deadline)
  local code, out, err = box.podman({ "wait", "-i", "20ms", self.name }, { deadline = deadline or 30 })
  if code ~= 0 then error("podman wait: " .. err, 2) end
  self:read()
  return math.tointeger(tonumber(out))
end

--- Exit code, standard output, standard error.
function Container:exec(...)
  return box.podman { "exec", self.name, ... }
end

function Container:kill(signal)
  return box.podman { "kill", "-s", signal, self.name }
end

--- podman stop: its exit code, and how many seconds it took.
function Container:stop(seconds)
  local t = h.native.now()
  local code = box.podman { "stop", "-t", tostring(seconds or 30), self.name }
  return code, h.native.now() - t
end

return box
