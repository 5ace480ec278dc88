-- The kind postgres and the sessions of its part against a real server. build/tests/probe runs one attempt or one
-- session in a loop of its own, and tells how long that loop slept where it should not: where something blocks.
local cjson = require "cjson"
local h = require "harness"
local postgres = require "postgres"
local probing = require "probing"

local start, lines = probing.start, probing.lines

local function probe(params, ms, o)
  local r, problem = probing.attempt("postgres", params, ms, o)
  assert.truthy(r, problem)
  return r
end

--- Queries on one session: a list, first that it opened.
local function session(conninfo, ms, ...)
  local p = start { "sql", conninfo, tostring(ms), ... }
  assert.equal(0, (p:wait(30)), p.err)
  local results = lines(p)
  p:close()
  return results
end

local failed, contains = probing.failed, probing.contains

describe("the probe of a PostgreSQL server", function()
  local db
  setup(function() db = postgres.missing() or postgres.start { hba = "host all rejected 127.0.0.1/32 reject" } end)
  before_each(function() if type(db) == "string" then pending(db) end end)

  it("connects, authenticates and asks, over TCP and a Unix socket, URI and keywords", function()
    for _, conninfo in ipairs { db:uri(), db:uri { host = "socket" }, db:uri { host = "localhost" }, db:keywords(),
      db:keywords { host = "socket" } } do
      local r = probe { conninfo = conninfo, writable = true }
      assert.equal("ok", r.status, r.detail)
      assert.equal("number", type(r.data.response_ms))
      assert.equal("number", type(r.data.connect_ms))
      assert.truthy(r.data.server_version:match("^%d+%.%d+$"))
      contains(tostring(db.port), r.data.address)
    end
    assert.equal("ok", probe({ conninfo = db:uri(), query = "select count(*) from pg_class" }).status)
  end)

  it("tells a port where nobody listens", function()
    local detail = failed("refused", probe { conninfo = ("postgresql://app:secret-word@127.0.0.1:%d/x"):format(h.free_port()) })
    contains("Connection refused", detail)
    failed("refused", probe { conninfo = "host=/nonexistent" })
  end)

  it("tells wrong credentials, and never shows the password", function()
    for _, o in ipairs { { password = "wrong-secret" }, { user = "nobody", password = "wrong-secret" },
      { user = "rejected", password = "wrong-secret" } } do
      local detail = failed("authentication", probe { conninfo = db:uri(o) })
      contains("SQLSTATE 28", detail)
      assert.falsy(detail:find("wrong-secret", 1, true))
    end
    local without = ("postgresql://app@127.0.0.1:%d/postgres"):format(db.port)
    contains("no password supplied", failed("authentication", probe { conninfo = without }))
  end)

  it("tells a database that is not there", function()
    contains("3D000", failed("no_database", probe { conninfo = db:uri { database = "none" } }))
  end)

  it("tells that all connections are taken, and that the server shuts down", function()
    local full = postgres.start { conf = { max_connections = 2, superuser_reserved_connections = 0, max_wal_senders = 0 } }
    local first = start { "sql", full:uri(), "60000", "select pg_sleep(60)" }
    local second = start { "sql", full:uri(), "60000", "select pg_sleep(60)" }
    first:wait_line '"open": true'
    second:wait_line '"open": true'
    contains("53300", failed("too_many_clients", probe { conninfo = full:uri() }))
    second:kill "TERM"
    second:wait()
    full:stop "smart" -- waits for the first one to leave
    local detail
    h.wait_for(function()
      local r = probe { conninfo = full:uri() }
      detail = r.detail
      return r.reason == "starting_up"
    end, 10, "a server that is shutting down")
    contains("57P03", detail)
    first:kill "TERM"
    first:wait()
  end)

  it("gives up on a server that takes connections and never answers", function()
    db:suspend()
    local r = probe({ conninfo = db:uri() }, 500)
    contains("waiting for an answer of", failed("timeout", r))
    db:resume()
    assert.equal("ok", probe({ conninfo = db:uri() }).status)
  end)

  it("gives up on a query that hangs", function()
    local r = probe({ conninfo = db:uri(), query = "select pg_sleep(60)" }, 500)
    contains("while waiting for the answer to select pg_sleep(60)", failed("timeout", r))
  end)

  it("checks certificates when told to", function()
    local plain, other = db, h.tempdir() .. "/other.crt"
    local db = postgres.start { tls = true } -- luacheck: ignore 431
    h.sh("openssl req -new -x509 -days 30 -nodes -subj /CN=localhost -keyout /dev/null -out " .. h.quote(other))
    local mode = "sslmode=verify-full&sslrootcert="
    local r = probe { conninfo = db:uri { host = "localhost", query = mode .. db.certificate } }
    assert.equal("ok", r.status, r.detail)
    contains("certificate verify failed", failed("tls", probe { conninfo = db:uri { host = "localhost", query = mode .. other } }))
    contains("does not match host name", failed("tls", probe { conninfo = ("host=another hostaddr=127.0.0.1 port=%d user=app " ..
      "sslmode=verify-full sslrootcert=%s"):format(db.port, db.certificate) }))
    contains("does not support SSL", failed("tls", probe { conninfo = plain:uri { query = "sslmode=require" } }))
    -- nobody is asked for a pass phrase, and no pipe is waited for
    local dir = h.tempdir()
    local _, code = h.sh(("cd %s && mkfifo pipe && openssl req -new -x509 -days 30 -subj /CN=a -newkey rsa:2048 -passout pass:secret-word " ..
      "-out a.crt -keyout a.key && chmod 600 a.key"):format(h.quote(dir)))
    assert.equal(0, code)
    for _, name in ipairs { "sslrootcert", "sslcert", "sslcrl" } do
      local query = ("sslmode=require&%s=%s/pipe"):format(name, dir)
      contains(name .. ": ", failed("tls", probe { conninfo = db:uri { host = "localhost", query = query } }))
    end
    local p = start { "postgres", cjson.encode { conninfo = db:uri { host = "localhost",
      query = ("sslmode=require&sslcert=%s/a.crt&sslkey=%s/a.key"):format(dir, dir) } }, "10000" }
    assert.equal(0, (p:wait(30)))
    contains("could not load private key file", failed("tls", lines(p)[1]))
    assert.equal("", p.err)
  end)

  it("tells a database that takes no writes, where it is to be written to", function()
    local conninfo = db:uri { query = "options=-c%20default_transaction_read_only%3Don" }
    assert.equal("ok", probe({ conninfo = conninfo }).status)
    contains("takes no writes", failed("read_only", probe { conninfo = conninfo, writable = true }))
    local standby = postgres.start()
    standby:stop()
    h.write(standby.data .. "/standby.signal", "")
    standby:restart(true)
    h.wait_for(function() return probe({ conninfo = standby:uri() }).status == "ok" end, 20, "a standby")
    failed("read_only", probe { conninfo = standby:uri(), writable = true })
    local either = db:keywords() .. (" host=127.0.0.1,127.0.0.1 port=%d,%d target_session_attrs=read-write"):format(standby.port, db.port)
    assert.equal("ok", probe({ conninfo = either, writable = true }).status)
    failed("read_only", probe { conninfo = standby:keywords() .. " target_session_attrs=read-write" })
  end)

  it("tells a query that fails, with the server's code", function()
    contains("42P01", failed("query", probe { conninfo = db:uri(), query = "select * from nothing" }))
    contains("read-only", failed("read_only", probe { conninfo = db:uri { query = "options=-c%20default_transaction_read_only%3Don" },
      query = "create table t (a int)" }))
  end)

  it("tells a server that is none", function()
    local listener = h.listen()
    local p = start { "postgres", cjson.encode { conninfo = ("postgresql://a:b@127.0.0.1:%d/x"):format(listener.port) }, "10000" }
    h.wait_for(listener.accept)
    listener.close()
    p:wait()
    failed("closed", lines(p)[1])
  end)

  it("tries the next host, but not after a refusal that another host cannot mend", function()
    local conninfo = "host=/nonexistent,127.0.0.1,127.0.0.1 port=1,%d,%d user=app password='%s' dbname=%s"
    local r = probe { conninfo = conninfo:format(h.free_port(), db.port, db.password, "postgres") }
    assert.equal("ok", r.status, r.detail)
    r = probe { conninfo = conninfo:format(db.port, h.free_port(), "wrong", "postgres") }
    local detail = failed("authentication", r)
    assert.falsy(detail:find("refused", 1, true))
    failed("refused", probe { conninfo = conninfo:format(h.free_port(), h.free_port(), "x", "x") })
  end)

  it("tries each address of a name", function()
    local r = probe({ conninfo = "postgresql://a:b@db.test:5432/x" }, 10000, {
      sandbox = probing.replace("/etc/hosts", "127.9.9.1 db.test\n127.9.9.2 db.test\n"),
    })
    local detail = failed("refused", r)
    contains("db.test:5432 (127.9.9.1)", detail)
    contains("db.test:5432 (127.9.9.2)", detail)
  end)

  it("tells a name that does not resolve, and waits for a dead name server without blocking", function()
    local r = probe({ conninfo = "postgresql://a:b@db.test/x" }, 700, {
      sandbox = probing.black_hole "10.77.0.53" .. probing.replace("/etc/resolv.conf", "nameserver 10.77.0.53\n"),
    })
    contains("db.test", failed("timeout", r))
    failed("dns", probe({ conninfo = "postgresql://a:b@db.test/x" }, 10000,
      { sandbox = probing.replace("/etc/resolv.conf", "nameserver 127.0.0.1\n") }))
  end)

  it("gives up on an address that swallows packets", function()
    local r = probe({ conninfo = "postgresql://a:b@10.77.0.5/x" }, 700, {
      sandbox = probing.black_hole "10.77.0.5",
    })
    contains("connecting to 10.77.0.5:5432", failed("timeout", r))
    failed("unreachable", probe({ conninfo = "postgresql://a:b@10.88.0.5/x" }, 10000, { sandbox = "true" }))
  end)

  it("reads the password file and the environment that libpq reads", function()
    local dir = h.tempdir()
    local file = h.write(dir .. "/pgpass", ("localhost:%d:*:app:%s\n"):format(db.port, (db.password:gsub("[\\:]", "\\%0"))))
    h.sh("chmod 600 " .. h.quote(file))
    local r = probe({ conninfo = ("host=localhost port=%d user=app dbname=postgres"):format(db.port) }, 10000,
      { env = { PGPASSFILE = file } })
    assert.equal("ok", r.status, r.detail)
    r = probe({ conninfo = "dbname=postgres" }, 10000,
      { env = { PGHOST = "localhost", PGPORT = tostring(db.port), PGUSER = "app", PGPASSWORD = db.password } })
    assert.equal("ok", r.status, r.detail)
  end)

  it("tells options that make no sense from a server that is away", function()
    for _, options in ipairs { "sslmode=bogus", "keepalives_idle=x" } do
      failed("config", probe { conninfo = "host=127.0.0.1 " .. options })
    end
  end)

  it("refuses a connection string that cannot be read, without showing it", function()
    for _, conninfo in ipairs { "host=a password=my secret-word", "postgresql://u:secret-word@[::1/x", "host=a,b port=1,2,3",
      "host=a port=secret-word", "host=a port=65536", "host=a,b port=1,0",
      "service=secret-word", "secret-word" } do
      local p = start { "postgres", cjson.encode { conninfo = conninfo }, "1000" }
      assert.equal(1, (p:wait()))
      assert.falsy(p.err:find("secret-word", 1, true), p.err)
      contains("probe: conninfo: ", p.err)
      p:close()
    end
  end)
end)

describe("a session", function()
  local db
  setup(function() db = postgres.missing() or postgres.start() end)
  before_each(function() if type(db) == "string" then pending(db) end end)

  it("runs queries one after the other, with parameters, in a transaction", function()
    local r = session(db:uri(), 10000, "create table t (a int, b text)", "begin", "insert into t values (1, $1), (2, null)",
      "select a, b from t order by a", "rollback", "select count(*) as n from t", "select $1 as one, $2 as none")
    assert.is_true(r[1].open)
    assert.equal("CREATE TABLE", r[2].tag)
    assert.equal(-1, r[2].affected)
    assert.equal(2, r[4].affected)
    assert.same({ { a = "1", b = "it's" }, { a = "2", b = cjson.null } }, r[5].rows)
    assert.same({ { n = "0" } }, r[7].rows)
    assert.same({ { one = "it's", none = cjson.null } }, r[8].rows)
  end)

  it("goes on after an error of a statement", function()
    local r = session(db:uri(), 10000, "selec", "select 1 as a")
    assert.equal("42601", r[2].sqlstate)
    assert.equal("query", r[2].reason)
    assert.is_false(r[2].closed)
    assert.same({ { a = "1" } }, r[3].rows)
    r = session(db:uri(), 10000, "create table u (a int primary key)", "insert into u values (1)", "insert into u values (1)")
    assert.equal("23505", r[4].sqlstate)
    contains("already exists", r[4].message)
  end)

  it("ends with its connection", function()
    local r = session(db:uri(), 10000, "select pg_terminate_backend(pg_backend_pid())", "select 1")
    assert.equal("closed", r[2].reason)
    assert.is_true(r[2].closed)
    assert.equal(-107, r[3].refused) -- ENOTCONN
    r = session(db:uri(), 10000, "copy (select 1) to stdout")
    contains("COPY", r[2].message)
    assert.is_true(r[2].closed)
  end)

  it("drops the connection when a query is over its time", function()
    local r = probing.awake(function() return session(db:uri(), 500, "select pg_sleep(60)", "select 1") end)
    assert.equal("timeout", r[2].reason)
    assert.is_true(r[2].closed)
    assert.equal(-107, r[3].refused)
  end)

  it("carries more than a socket takes at once, both ways", function()
    local big = ("x"):rep(100000)
    local r = session(db:uri(), 30000, "select length('" .. big .. "') as n", "select repeat('y', 3000000) as y")
    assert.same({ { n = "100000" } }, r[2].rows)
    assert.equal(3000000, #r[3].rows[1].y)
    r = session(db:uri(), 30000, "select i, i * 2 as j, null as k from generate_series(1, 3000) i", "select where false")
    assert.equal(3000, #r[2].rows)
    assert.same({ i = "3000", j = "6000", k = cjson.null }, r[2].rows[3000])
    assert.equal("SELECT 0", r[3].tag)
    assert.equal(0, #r[3].rows)
  end)

  it("refuses an answer that would fill the memory", function()
    local r = session(db:uri(), 60000, "select repeat('x', 1000000) from generate_series(1, 1000)", "select 1")
    assert.equal("memory", r[2].reason)
    contains("64 MB", r[2].message)
    assert.equal(-107, r[3].refused)
  end)
end)
