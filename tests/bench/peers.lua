-- The peers, as far as they are installed: each at its best, a folder on the tmpfs, no shell between.
--   { name, make = function(self, place, n) → argv, env; most = children it is asked for; slow = every how-manieth round }
local lab = require "lab"
local lfs = require "lfs"

local peers = {}

local function have(program)
  return lab.sh(("command -v %s"):format(program)):match "^/%S+"
end

local function version(package)
  local v = lab.sh(("dpkg-query -W -f='${Version}' %s 2>/dev/null"):format(package))
  return v ~= "" and v or "?"
end

local function add(name, package, program, c)
  c.name, c.package, c.path = name, package, have(program)
  if c.path then
    c.version = version(package)
  else
    c.missing = program .. " is not installed"
  end
  peers[#peers + 1] = c
  peers[name] = c
end

local function mkdir(path)
  os.execute("mkdir -p " .. lab.quote(path))
  return path
end

local function plain(...)
  local before = { ... }
  return function(self, place)
    local argv = { self.path, table.unpack(before) }
    return table.move(place.child, 1, #place.child, #argv + 1, argv), {}
  end
end

-- The silent child is the service itself, without a shell; another one is started by a script. The folder is not young, since
-- runsvdir waits with one of this second.
local function services(place, n)
  local dir = mkdir(place.dir .. "/services")
  local script = #place.child > 2 and lab.write(place.dir .. "/run", "#!/bin/sh\nexec " .. table.concat(place.child, " ") .. "\n", "755")
  for i = 1, n do
    lfs.mkdir(dir .. "/s" .. i)
    lfs.link(script or place.child[1], dir .. "/s" .. i .. "/run", true)
  end
  lfs.touch(dir, 1000000000)
  return dir, { BENCH_FIFO = place.fifo }
end

add("tini", "tini", "tini", { most = 1, make = plain "--" })
add("dumb-init", "dumb-init", "dumb-init", { most = 1, make = plain() })
add("catatonit", "catatonit", "catatonit", { most = 1, make = plain "--" })
add("runsv", "runit", "runsv", { most = 1, lived = 1.2, make = function(self, place)
  local dir, env = services(place, 1)
  return { self.path, dir .. "/s1" }, env
end })
add("runsvdir", "runit", "runsvdir", { most = 1000, lived = 1.2, exits_first = true, make = function(self, place, n)
  local dir, env = services(place, n)
  return { self.path, "-P", dir }, env
end })
add("s6-supervise", "s6", "s6-supervise", { most = 1, lived = 1.2, make = function(self, place)
  local dir, env = services(place, 1)
  return { self.path, dir .. "/s1" }, env
end })
add("s6-svscan", "s6", "s6-svscan", { most = 1000, lived = 1.2, make = function(self, place, n)
  local dir, env = services(place, n)
  return { self.path, "-c", "1000", dir }, env
end })
add("monit", "monit", "monit", { most = 1, slow = 10, leaves = true, lived = 1.2, orphans = true, make = function(self, place)
  -- it waits for the end of its start program, and knows the child by its pid file
  local file, script = place.dir .. "/pid", place.dir .. "/run"
  lab.write(script, ("#!/bin/sh\n%s &\necho $! >%s\n"):format(table.concat(place.child, " "), file), "755")
  lab.write(place.dir .. "/monitrc", ([[
set daemon 1
set pidfile %s/monit.pid
set statefile %s/monit.state
set idfile %s/monit.id
check process child with pidfile %s
  start program = "%s"
]]):format(place.dir, place.dir, place.dir, file, script), "600")
  return { self.path, "-I", "-c", place.dir .. "/monitrc" }, {}
end })
add("supervisord", "supervisor", "supervisord", { most = 1000, slow = 10, lived = 1.2, make = function(self, place, n)
  lab.write(place.dir .. "/supervisord.conf", ([[
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile=%s/supervisord.pid
childlogdir=%s
user=root
minfds=4096
[program:child]
command=%s
numprocs=%d
process_name=c%%(process_num)d
autorestart=true
startretries=1000000
stdout_logfile=NONE
stderr_logfile=NONE
]]):format(place.dir, place.dir, table.concat(place.child, " "), n):gsub("user=root\n", lab.root and "%0" or ""))
  return { self.path, "-n", "-c", place.dir .. "/supervisord.conf" }, {}
end })

--- Those that are installed and can do n children.
function peers.list(n, where)
  local list = {}
  for _, p in ipairs(peers) do
    if not p.missing and p.most >= n and (not where or where(p)) then list[#list + 1] = p end
  end
  return list
end

return peers
