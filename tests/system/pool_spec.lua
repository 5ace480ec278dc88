-- The pool of connections: lending, bound, cleaning, age, loss, reset; health checks and metrics over it.
local cjson = require "cjson"
local h = require "harness"
local http = require "endpoint"
local postgres = require "postgres"

local missing = postgres.missing()
local db

local function it_with_db(text, fn)
  it(text, function()
    if missing then return pending(missing) end
    db = db or h.for_file(function() return postgres.start { conf = { max_connections = 20 } } end)
    fn()
  end)
end

-- what a script prints as JSON, one value a line
local function run(script, env)
  local file = h.write(h.tempdir() .. "/look.lua", script)
  local all = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_LOG_FORMAT = "pretty" }
  for k, v in pairs(env or {}) do all[k] = v end
  local code, out, err = h.run { args = { "script", file }, env = all }
  assert.equal(0, code, out .. err)
  local list = {}
  for line in (out .. err):gmatch "JSON(%b{})" do list[#list + 1] = cjson.decode(line) end
  return list
end

local say = [[
local function say(v) print("JSON" .. json.encode(v)) end
-- until nobody has a connection, and its one is there for the next, cleaned
local function rested(idle)
  local st
  repeat timer.sleep(0.01) st = postgres.pool "rpa_db" until st.used == 0 and st.idle == (idle or 1)
end
local function pid() return postgres.query("rpa_db", "select pg_backend_pid() as pid")[1].pid end
]]

describe("the pool", function()
  it_with_db("lends one connection again, and cleans it between", function()
    local r = run(say .. [[
      local first = pid()
      assert(postgres.execute("rpa_db", "create temporary table left_behind (i int)"))
      assert(postgres.execute("rpa_db", "set statement_timeout = 4242"))
      rested()
      local timeout = postgres.query("rpa_db", "show statement_timeout")[1].statement_timeout
      rested()
      local rows, err = postgres.query("rpa_db", "select * from left_behind")
      rested()
      say { same = first == pid(), timeout = timeout, gone = err and err.sqlstate }
      rested()
      say(postgres.pool "rpa_db")
    ]])
    assert.same({ same = true, timeout = "0", gone = "42P01" }, r[1])
    assert.same({ 5, 1, 0, 0, 1, 0 }, { r[2].size, r[2].idle, r[2].used, r[2].waiting, r[2].opened, r[2].dropped })
  end)

  it_with_db("has no more connections than its size; who comes later waits, or hears why", function()
    local r = run(say .. [[
      local function sleeper(s) return timer.after(0, function() postgres.query("rpa_db", "select pg_sleep(" .. s .. ")") end) end
      local a, b = sleeper(1), sleeper(1)
      local stats
      repeat timer.sleep(0.01) stats = postgres.pool "rpa_db" until stats and stats.used == 2
      local rows, err = postgres.query({ name = "rpa_db", timeout = 0.2 }, "select 1")
      say { used = stats.used, code = err and err.code, message = err and err.message }
      say { later = postgres.query("rpa_db", "select 7 as n")[1].n }
    ]], { CONTAINER_DATABASE_RPA_DB_POOL_SIZE = "2" })
    assert.equal(2, r[1].used)
    assert.equal("pool", r[1].code)
    assert.matches("no connection of the pool (2 at most) came free in time", r[1].message, 1, true)
    assert.equal(7, r[2].later)
  end)

  it_with_db("replaces what the server has ended, what is too old, and what was reset", function()
    local r = run(say .. [[
      local first = pid()
      rested()
      postgres.query({ connection = settings.get "CONTAINER_RPA_DB_CONNECTION_STRING" }, "select pg_terminate_backend($1)", first)
      timer.sleep(0.2)
      local second = pid()
      timer.sleep(1.5) -- older than it may be
      local third = pid()
      rested()
      local n = postgres.reset "rpa_db"
      local fourth = pid()
      say { ended = first ~= second, old = second ~= third, reset = third ~= fourth, n = n }
    ]], { CONTAINER_DATABASE_RPA_DB_POOL_MAX_AGE = "1" })
    assert.same({ ended = true, old = true, reset = true, n = 1 }, r[1])
  end)

  it_with_db("asks a connection that has rested before it lends it: a frozen one is passed over", function()
    local r = run(say .. [[
      local first = pid()
      timer.sleep(1.2)
      -- the server process does not answer any more, the socket stays open
      process.run({ "kill", "-STOP", tostring(first) })
      local second = pid()
      process.run({ "kill", "-CONT", tostring(first) })
      say { other = first ~= second, dropped = postgres.pool("rpa_db").dropped }
    ]])
    if not h.root then return pending "needs root to stop a process of the server" end
    assert.same({ other = true, dropped = 1 }, r[1])
  end)

  it_with_db("leaves what is lent alone when a pool for another database is made", function()
    local r = run(say .. [[
      local long
      timer.after(0, function() postgres.query("rpa_db", "select pg_sleep(0.2)") end)
      timer.sleep(0.05)
      timer.after(0, function() long = postgres.query("rpa_db", "select pg_sleep(1.5)::text, 7 as n") end)
      timer.sleep(0.6) -- the first rests, the second, never idle before, is in use
      local other = postgres.query("other", "select 1 as n")[1].n
      timer.sleep(1.5)
      say { other = other, long = long and long[1].n }
    ]], {
      CONTAINER_DATABASE_OTHER_CONNECTION_STRING = db:uri { query = "application_name=other" },
      CONTAINER_DATABASE_RPA_DB_POOL_MAX_AGE = "1",
    })
    assert.same({ other = 1, long = 7 }, r[1])
  end)

  it_with_db("closes a connection whose caller left a transaction open or was cancelled", function()
    local r = run(say .. [[
      local first = pid()
      rested()
      postgres.execute("rpa_db", "BEGIN")
      rested(0)
      local second = pid()
      rested()
      local rows, err = postgres.query({ name = "rpa_db", query_timeout = 0.2 }, "select pg_sleep(30)")
      local stats = postgres.pool "rpa_db"
      say { other = first ~= second, code = err.code, idle = stats.idle, used = stats.used }
    ]])
    assert.same({ other = true, code = "timeout", idle = 0, used = 0 }, r[1])
  end)
end)

describe("a health check of a database", function()
  local function start(env)
    local dir = h.tempdir()
    h.write(dir .. "/some.lua", [[
      local database = require "policies.database"
      return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } } },
        checks = {
          database.health { interval = 0.2, failures = 1, timeout = 0.2 },
          database.health { name = "over_pool", pool = true, interval = 0.2, timeout = 0.2, slow = "150ms" },
        },
        remedies = { { name = "mend", check = "rpa_database", failures = 1, cooldown = 1, max = 50,
          steps = { { name = "anew", kind = "reset_database", params = { database = "rpa_db" } } } } } }]])
    local all = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri() }
    for k, v in pairs(env or {}) do all[k] = v end
    return http.spawn { args = { "run", "--flow-name", "some", "--flows", dir }, env = all }
  end

  it_with_db("warns of an answer that is slower than it may be", function()
    local r = run([[print("JSON" .. json.encode(probe.postgres { setting = "CONTAINER_RPA_DB_CONNECTION_STRING", query = "select pg_sleep(0.2)", slow = "50ms" }))]])
    assert.same({ "warn", "slow", true }, { r[1].status, r[1].reason, r[1].ok })
    assert.matches("select pg_sleep(0.2) took 2", r[1].detail, 1, true)
  end)

  it_with_db("tells the pool's numbers; a frozen server is noticed by a new connection, and a remedy resets the pool", function()
    local p = start()
    h.wait_for(function()
      return http.get(p, "/metrics").body:find('tend_database_pool_connections{[^}]*database="rpa_db",state="idle"} 1')
    end, 10, "the metrics of the pool")
    local text = http.get(p, "/metrics").body
    assert.matches('tend_database_pool_opened_total{[^}]*} 1\n', text)
    assert.matches('tend_database_pool_size{[^}]*} 5\n', text)
    local _, out = h.ask(p, "check-now", "over_pool")
    assert.matches("pool_size 5", out, 1, true)
    db:suspend()
    local done = p:wait_event("remediation_completed", { deadline = 15 })
    assert.truthy(done)
    db:resume()
    h.wait_for(function() return p.err:find('"event": "recovery_completed"', 1, true) end, 15, "the recovery")
    assert.matches("connections of rpa_db are made anew", p.err, 1, true)
    p:kill "TERM"
    assert.equal(0, (p:wait()))
  end)
end)
