-- A private PostgreSQL for a test: scram, a Unix socket and 127.0.0.1, on a free port, ended with the test.
--
--   local postgres = require "postgres"
--   local db = postgres.start { conf = { max_connections = 5 } }    -- pending with a reason where there is none
--   db:uri()  db:uri { host = "socket", password = "wrong", database = "none" }  db:sql "select 1"
--   db:stop "fast"|"smart"|"immediate"  db:kill()  db:suspend()  db:resume()  db:restart()  db:wait_ready()
--
-- initdb runs once; later servers copy the folder it made (build/tests/postgres).
local h = require "harness"
local lfs = require "lfs"

local postgres = {}
local Server = {}
Server.__index = Server

local USER, PASSWORD, DATABASE = "app", "pw-Zk7/ä+ 9", "postgres"

local function find_bin()
  local path = h.sh("ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1"):match("%S+")
  return path or h.sh("dirname \"$(command -v postgres)\" 2>/dev/null"):match("%S+")
end

-- PostgreSQL refuses root: it gets the user that Debian's package makes.
local function account()
  if not h.root then return nil end
  local uid, gid = h.sh("id -u postgres 2>/dev/null; id -g postgres 2>/dev/null"):match("(%d+)%s+(%d+)")
  return math.tointeger(tonumber(uid)), math.tointeger(tonumber(gid))
end

--- nil where it can be started; else why not.
function postgres.missing()
  local bin = find_bin()
  if not bin or not h.exists(bin .. "/postgres") then return "PostgreSQL is not installed" end
  if h.root and not account() then return "there is no user postgres to run it as" end
  return nil
end

local function run_as(argv, uid, gid)
  local p = assert(h.start { argv = argv, uid = uid, gid = gid, env = { LC_ALL = "C.UTF-8" }, cwd = "/" })
  local code = p:wait(60)
  local text = p.out .. p.err
  p:close()
  assert(code == 0, argv[1] .. ": " .. text)
end

local function template(bin, uid, gid)
  local place = h.top .. "/" .. h.build .. "/tests/postgres-" .. bin:gsub("%W+", "-") .. "-" .. (uid or "own")
  local lock = assert(io.open(place .. ".lock", "w"))
  while not lfs.lock(lock, "w") do h.wait_for(function() return lfs.lock(lock, "w") end, 60, "the lock of " .. place) end
  if not h.exists(place .. "/PG_VERSION") then
    local dir = h.tempdir()
    local pw = h.write(dir .. "/pw", PASSWORD .. "\n")
    if uid then
      h.native.chown(dir, uid, gid)
      h.native.chown(pw, uid, gid)
    end
    run_as({ bin .. "/initdb", "-D", dir .. "/data", "-U", USER, "-A", "scram-sha-256", "--pwfile=" .. pw, "-N", "-E", "UTF8",
      "--locale=C.UTF-8" }, uid, gid)
    local out, code = h.sh(("rm -rf %s && cp -a %s %s.new && mv %s.new %s"):format(h.quote(place),
      h.quote(dir .. "/data"), h.quote(place), h.quote(place), h.quote(place)))
    assert(code == 0, out)
  end
  lock:close()
  return place
end

--- Starts one: { conf = { name = value }, port, tls = bool, hba = text put before the others }.
function postgres.start(o)
  o = o or {}
  local missing = postgres.missing()
  if missing then h.skip(missing) end
  local bin = find_bin()
  local uid, gid = account()
  local from = template(bin, uid, gid)
  local dir = h.tempdir()
  local out, code = h.sh(("cp -a %s %s"):format(h.quote(from), h.quote(dir .. "/data")))
  assert(code == 0, out)
  local self = setmetatable({
    bin = bin, dir = dir, data = dir .. "/data", port = o.port or h.free_port(), uid = uid, gid = gid,
    user = USER, password = PASSWORD, database = DATABASE,
  }, Server)
  local conf = {
    listen_addresses = "127.0.0.1", port = self.port, unix_socket_directories = dir, fsync = "off",
    synchronous_commit = "off", max_connections = 20, superuser_reserved_connections = 1, shared_buffers = "16MB",
    dynamic_shared_memory_type = "mmap", -- kill -9 leaves nothing in /dev/shm
    log_line_prefix = "%p ", logging_collector = "off",
  }
  if o.tls then
    local tls, failed = h.sh(("cd %s && openssl req -new -x509 -days 30 -nodes -subj /CN=localhost -addext " ..
      "'subjectAltName=DNS:localhost,IP:127.0.0.1' -out server.crt -keyout server.key && chmod 600 server.key")
      :format(h.quote(self.data)))
    if failed ~= 0 then h.skip("openssl cannot make a certificate: " .. tls) end
    conf.ssl, self.certificate = "on", self.data .. "/server.crt"
  end
  for k, v in pairs(o.conf or {}) do conf[k] = v end
  local lines = {}
  for k, v in pairs(conf) do lines[#lines + 1] = ("%s = '%s'"):format(k, v) end
  h.write(self.data .. "/postgresql.auto.conf", table.concat(lines, "\n") .. "\n")
  if o.hba then h.write(self.data .. "/pg_hba.conf", o.hba .. "\n" .. h.read(self.data .. "/pg_hba.conf")) end
  if uid then h.sh(("chown -R %d:%d %s"):format(uid, gid, h.quote(dir))) end
  self:restart()
  return self
end

--- Starts it again after stop() or kill(); the port stays.
function Server:restart(no_wait)
  h.sh("rm -f " .. h.quote(self.data .. "/postmaster.pid"))
  self.process = assert(h.start {
    argv = { self.bin .. "/postgres", "-D", self.data }, uid = self.uid, gid = self.gid, cwd = "/", env = { LC_ALL = "C.UTF-8" },
  })
  if not no_wait then self:wait_ready() end
end

function Server:wait_ready()
  self.process:wait_line("ready to accept connections", 30, "err")
end

local function encode(s)
  return (s:gsub("[^%w%-%._~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- A connection URI: { host = "socket"|name, port, user, password, database, query = "a=b&c=d" }.
function Server:uri(o)
  o = o or {}
  local host = o.host == "socket" and encode(self.dir) or o.host or "127.0.0.1"
  return ("postgresql://%s:%s@%s:%d/%s%s"):format(encode(o.user or self.user), encode(o.password or self.password), host,
    o.port or self.port, encode(o.database or self.database), o.query and "?" .. o.query or "")
end

--- The same in keyword form, for psql and for settings.
function Server:keywords(o)
  o = o or {}
  return ("host='%s' port=%d user='%s' password='%s' dbname='%s'"):format(o.host == "socket" and self.dir or o.host or "127.0.0.1",
    o.port or self.port, o.user or self.user, o.password or self.password, o.database or self.database)
end

--- Runs SQL through psql: its rows as text (fields by |), no newline at the end; fails on an error.
function Server:sql(text)
  local p = assert(h.start {
    argv = { "/bin/sh", "-c", "exec psql -X -q -A -t -v ON_ERROR_STOP=1 -f - \"$0\"", self:keywords { host = "socket" } },
    stdin = text, env = { PGCONNECT_TIMEOUT = "10" },
  })
  local code = p:wait(30)
  local out, err = p.out, p.err
  p:close()
  if code ~= 0 then
    error(("psql: %sserver: %s\n%s"):format(err, self.process:ended() and "ended" or "runs", self.process.err:sub(-1500)), 2)
  end
  return (out:gsub("\n$", ""))
end

local STOP = { smart = "TERM", fast = "INT", immediate = "QUIT" }

function Server:stop(mode)
  self.process:kill(STOP[mode or "fast"])
  if mode ~= "smart" then self.process:wait(20) end
end

--- kill -9, as a crash.
function Server:kill()
  self.process:kill("KILL")
  self.process:wait(10)
end

--- The postmaster stands still: connections are taken by the kernel and never answered.
function Server:suspend()
  self.process:kill("STOP")
  h.wait_for(function() return (h.stat(self.process.pid) or {}).state == "T" end)
end

function Server:resume()
  self.process:kill("CONT")
end

return postgres
