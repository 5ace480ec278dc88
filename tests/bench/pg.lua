-- A private PostgreSQL for the contestants that need a database: made once below build/, no password, on 127.0.0.1.
local lab = require "lab"
local native = require "benchnative"
local net = require "native"

local pg = {}

local function find()
  return lab.sh "ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1":match "^/%S+"
end

--- Starts it: { uri, stop() }; or nil, why not.
function pg.start()
  local bin = find()
  if not bin then return nil, "PostgreSQL is not installed" end
  local as = ""
  if lab.root then
    if lab.sh("id -u postgres"):find "%D" then return nil, "there is no user postgres" end
    as = "setpriv --reuid=postgres --regid=postgres --init-groups "
  end
  local dir = lab.tempdir()
  if lab.root then os.execute("chown postgres " .. lab.quote(dir)) end
  local made = lab.sh(("cd / && %s%s/initdb -D %s/data -U app -A trust -N -E UTF8 --locale=C.UTF-8 >%s 2>&1; echo $?")
    :format(as, bin, dir, lab.quote(dir .. ".log")))
  local fd, port = assert(net.listen_tcp(0))
  net.close(fd)
  local argv = { "/bin/sh", "-c", ("exec %s%s/postgres -D %s/data -p %d -k %s -h 127.0.0.1 -F"):format(as, bin, dir, port, dir) }
  local pid = made == "0" and native.launch { argv = argv, env = { "PATH=" .. os.getenv "PATH", "LC_ALL=C.UTF-8" }, cwd = "/", fds = { lab.null, lab.null, lab.null } }
  os.remove(dir .. ".log")
  if not pid then
    lab.remove(dir)
    return nil, "initdb fails"
  end
  lab.keep(pid)
  local stop = native.now() + 15000000000
  repeat
    native.sleep(0.05)
    local ready = lab.sh(("%s/pg_isready -h 127.0.0.1 -p %d"):format(bin, port)):find "accepting"
  until ready or native.now() > stop
  return {
    uri = ("postgresql://app@127.0.0.1:%d/postgres"):format(port),
    stop = function()
      native.kill(pid, 3) -- at once
      native.wait(pid, 10)
      lab.keep(pid, false)
      lab.remove(dir)
    end,
  }
end

return pg
