-- The job of flow rpa2 against a real PostgreSQL and a real HTTP server: every record is judged once, whatever happens.
local h = require "harness"
local killing = require "killing"
local postgres = require "postgres"
local web = require "web"

describe("the job of rpa2", function()
  local db, dir

  local function environment(more)
    local env = { CONTAINER_FLOW_NAME = "rpa2", CONTAINER_WORKER_ID = "rpa2-test", CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(),
      CONTAINER_RPA2_BATCH_SIZE = "10", CONTAINER_RPA2_CACHE_DIR = dir .. "/cache" }
    for name, value in pairs(more or {}) do env[name] = value end
    return env
  end

  local function spawn(more) return h.spawn { args = { "script", "flows/jobs/rpa2.lua" }, env = environment(more) } end

  local function run(more, expected)
    local p = spawn(more)
    assert.equal(expected or 0, (p:wait(60)), p.out .. p.err)
    return p
  end

  local function number(sql) return tonumber((db:sql(sql))) end

  --- Records from..to, of which every tenth breaks a rule and every seventh of the others is bad to the service.
  local function put(from, to)
    db:sql(([[insert into rpa2_records (payload) select case when i %% 10 = 0 then jsonb_build_object('id', i, 'date', 'never')
      when i %% 7 = 0 then jsonb_build_object('id', i, 'bad', 'it is seven') else jsonb_build_object('id', i) end
      from generate_series(%d, %d) i]]):format(from, to))
  end

  local function again() db:sql "update rpa2_records set state = 'waiting'" end

  local function counts() return db:sql "select state, checked_by, count(*) from rpa2_records group by 1, 2 order by 1, 2" end

  local function server()
    if web.missing() then h.skip(web.missing()) end
    return web.start()
  end

  setup(function() db = postgres.start() end)

  before_each(function()
    dir = h.tempdir()
    db:sql "drop table if exists rpa2_records"
    run() -- makes the table
  end)

  it("judges by its rules where there is no service", function()
    put(1, 100)
    local p = run()
    assert.equal("invalid|rules|10\nvalid|rules|90", counts())
    assert.equal([=[["date: expected a date like 2024-01-31, got \"never\""]]=], db:sql "select reasons from rpa2_records where id = 10")
    assert.matches("all records are validated", p.err, 1, true)
    assert.is_false(h.exists(dir .. "/cache"))
    assert.is_nil((p.out .. p.err):find("pw-Zk7", 1, true))
  end)

  it("asks the service for what its rules let through, in batches, and keeps its verdicts", function()
    local s = server()
    local endpoint = { CONTAINER_RPA2_VALIDATION_ENDPOINT = s:url "/validate", CONTAINER_RPA2_BATCH_SIZE = "50" }
    put(1, 100)
    run(endpoint)
    assert.equal("invalid|rules|10\ninvalid|service|13\nvalid|service|77", counts())
    assert.equal('["it is seven"]', db:sql "select reasons from rpa2_records where id = 7")
    assert.equal(2, #s:requests())
    again()
    run(endpoint)
    assert.equal("invalid|cache|13\ninvalid|rules|10\nvalid|cache|77", counts())
    assert.equal('["it is seven"]', db:sql "select reasons from rpa2_records where id = 7")
    assert.equal(2, #s:requests())
    -- another service's verdicts are its own, and strange files are none
    h.sh(("cd %s/cache && for f in *; do head -c 5000 /dev/urandom >$f; done"):format(h.quote(dir)))
    again()
    run(endpoint)
    assert.equal("invalid|rules|10\ninvalid|service|13\nvalid|service|77", counts())
  end)

  it("goes on by its rules where the service is down or makes no sense, and says so", function()
    local s = server()
    for url, reason in pairs {
      [s:url "/status/503"] = "status 503", [s:url "/status/404"] = "status 404", [s:url "/json"] = "no list of 20 results",
      [s:url "/garbage"] = "", [("http://u:pw-secret@127.0.0.1:%d/"):format(h.free_port())] = "efused",
    } do
      db:sql "delete from rpa2_records"
      put(1, 9)
      put(11, 19)
      put(21, 22)
      local p = run { CONTAINER_RPA2_VALIDATION_ENDPOINT = url, CONTAINER_RPA2_BATCH_SIZE = "20" }
      assert.equal("valid|rules|20", counts())
      assert.matches("gives no verdicts", p.err, 1, true)
      assert.matches(reason, p.err, 1, true)
      assert.is_nil((p.out .. p.err):find("pw-secret", 1, true))
    end
    local tries = 0
    for _, r in ipairs(s:requests()) do if r.target == "/status/503" then tries = tries + 1 end end
    assert.equal(3, tries) -- a server that is down is tried again, and then left alone
  end)

  it("does without its cache where that cannot be written", function()
    local s = server()
    h.write(dir .. "/cache", "a file")
    put(1, 9)
    local p = run { CONTAINER_RPA2_VALIDATION_ENDPOINT = s:url "/validate" }
    assert.equal("invalid|service|1\nvalid|service|8", counts())
    assert.matches("the cache is done without", p.err, 1, true)
  end)

  it("judges records of any shape", function()
    db:sql [[insert into rpa2_records (payload) values ('[1]'), ('{"a": {"b": 1}}'), ('null'), ('{}'), ('{"quantity": 1e400}'),
      ('{"n": 12345678901234567890.1234567890}'), (jsonb_build_object('long', repeat('x', 200000))),
      (jsonb_build_object('a', repeat(E'\u20ac"', 25000))),
      (jsonb_build_object(repeat(E'\u20ac', 200) || '_date', repeat(E'\u20ac', 200))),
      (('{"deep": ' || repeat('[', 500) || repeat(']', 500) || '}')::jsonb), (jsonb_build_object('a', E'\u0001\n"\\'))]]
    run { CONTAINER_RPA2_BATCH_SIZE = "10000" }
    assert.equal("invalid|rules|8\nvalid|rules|3", counts())
  end)

  it("judges every record once, killed a hundred times at any moment, with three of it at a time", function()
    local s = server()
    local last = 0
    local count = killing.run {
      times = 100, at_once = 3, span = 0.4,
      feed = function()
        if number "select count(*) from rpa2_records where state = 'waiting'" < 1000 then
          put(last + 1, last + 1000)
          last = last + 1000
        end
      end,
      start = function() return spawn { CONTAINER_RPA2_VALIDATION_ENDPOINT = s:url "/validate", CONTAINER_RPA2_BATCH_SIZE = "5" } end,
    }
    assert.equal(100, count.killed)
    assert.is_true(number "select count(*) from rpa2_records where times = 1" > 100)
    -- what a killed one had locked is free when the server sees that it is gone
    h.wait_for(function() return number "select count(*) from pg_stat_activity where application_name like 'rpa2 %'" == 0 end)
    run { CONTAINER_RPA2_VALIDATION_ENDPOINT = s:url "/validate", CONTAINER_RPA2_BATCH_SIZE = "200" }
    assert.equal("1|1", db:sql "select min(times), max(times) from rpa2_records")
    assert.equal(last, number "select count(*) from rpa2_records where state <> 'waiting'")
    assert.equal(0, number [[select count(*) from rpa2_records where (state = 'invalid') <>
      ((payload->>'id')::int % 10 = 0 or (payload->>'id')::int % 7 = 0)]])
  end)

  it("stops between two batches on TERM, and goes on from there", function()
    put(1, 5000)
    local p = spawn { CONTAINER_RPA2_BATCH_SIZE = "1" }
    h.wait_for(function() return number "select count(*) from rpa2_records where state <> 'waiting'" > 5 end)
    p:kill "TERM"
    assert.equal(0, (p:wait(10)))
    local done = number "select count(*) from rpa2_records where state <> 'waiting'"
    assert.is_true(done < 5000)
    run { CONTAINER_RPA2_BATCH_SIZE = "1000" }
    assert.equal("1|1", db:sql "select min(times), max(times) from rpa2_records")
  end)

  it("names a table that is gone, makes it anew, and stops while it is locked", function()
    put(1, 5000)
    local p = spawn { CONTAINER_RPA2_BATCH_SIZE = "1" }
    h.wait_for(function() return number "select count(*) from rpa2_records where state <> 'waiting'" > 5 end)
    db:sql "drop table rpa2_records"
    assert.equal(1, (p:wait(20)), p.err)
    assert.matches('rpa2_records." does not exist', p.err)
    run()
    put(1, 20)
    local locker = h.start { argv = { "/usr/bin/env", "psql", "-X", "-q", db:keywords(), "-c",
      "begin; lock table rpa2_records in access exclusive mode; select pg_sleep(120)" } }
    h.wait_for(function() return number [[select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted
      and relation = 'rpa2_records'::regclass]] == 1 end)
    p = spawn()
    assert.matches("lock", p:wait_line("trying again", 20))
    p:kill "TERM"
    assert.equal(0, (p:wait(10)), p.err)
    db:sql "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()"
    locker:wait(10)
    run()
    assert.equal(0, number "select count(*) from rpa2_records where state = 'waiting'")
    assert.equal("1|1", db:sql "select min(times), max(times) from rpa2_records")
  end)

  it("goes on after the database was away, and ends at once where it is refused", function()
    local shared = db
    db = postgres.start { conf = { synchronous_commit = "on" } } -- one of its own: what a test restarts ends with the test
    finally(function() db = shared end)
    run()
    put(1, 3000)
    local p = spawn { CONTAINER_RPA2_BATCH_SIZE = "1" }
    h.wait_for(function() return number "select count(*) from rpa2_records where state <> 'waiting'" > 5 end)
    db:stop "immediate"
    p:wait_line("trying again", 10, "err")
    db:restart()
    assert.equal(0, (p:wait(60)), p.err)
    assert.equal("1|1", db:sql "select min(times), max(times) from rpa2_records")
    run({ CONTAINER_RPA_DB_CONNECTION_STRING = db:uri { password = "wrong-one" } }, 1)
  end)
end)
