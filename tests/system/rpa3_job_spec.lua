-- The jobs of flow rpa3 against a real PostgreSQL: every row of the queue is ended once, whatever happens.
local h = require "harness"
local killing = require "killing"
local postgres = require "postgres"

describe("the jobs of rpa3", function()
  local db

  local function environment(more)
    local env = { CONTAINER_FLOW_NAME = "rpa3", CONTAINER_WORKER_ID = "rpa3-test", CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(),
      CONTAINER_RPA3_BATCH_SIZE = "10", CONTAINER_LOG_LEVEL = "INFO" }
    for name, value in pairs(more or {}) do env[name] = value end
    return env
  end

  local function worker(more) return h.spawn { args = { "script", "flows/jobs/rpa3_worker.lua" }, env = environment(more) } end

  --- Runs the coordinator to its end.
  local function coordinate(more, expected)
    local p = h.spawn { args = { "script", "flows/jobs/rpa3.lua" }, env = environment(more) }
    assert.equal(expected or 0, (p:wait(60)), p.out .. p.err)
    return p
  end

  local function put(from, to)
    db:sql(([[insert into rpa3_queue (payload) select jsonb_build_object('id', i, 'date', '31.01.2024', 'quantity', i %% 7,
      'price', i || '.50') from generate_series(%d, %d) i]]):format(from, to))
  end

  local function number(sql) return tonumber((db:sql(sql))) end

  local function stop(p)
    p:kill "TERM"
    assert.equal(0, (p:wait(20)), p.err)
  end

  local function assert_once(rows)
    assert.equal(rows, number "select count(*) from rpa3_queue where state = 'done'")
    assert.equal(rows, number "select count(*) from rpa3_results")
    assert.equal(1, number "select max(times) from rpa3_results")
    assert.equal(rows, number "select count(distinct result->>'id') from rpa3_results")
    assert.equal(0, number "select count(*) from rpa3_queue q left join rpa3_results r on r.queue_id = q.id where r.result->>'id' is distinct from q.payload->>'id'")
  end

  setup(function() db = postgres.start { conf = { max_connections = 40 } } end)

  before_each(function()
    db:sql "drop table if exists rpa3_results, rpa3_queue; drop sequence if exists rpa3_sessions"
    coordinate() -- makes the tables, and ends: there is nothing to do
  end)

  it("drain the queue with several workers, and say so", function()
    put(1, 500)
    local workers = { worker(), worker() }
    local p = coordinate()
    assert.matches("the queue is empty", p.out .. p.err, 1, true)
    assert_once(500)
    assert.equal("2024-01-31|7.50|7|7.50|0.00", db:sql [[select result->>'date', result->>'price', result->>'id',
      result->>'price', result->>'total' from rpa3_results where result->>'id' = '7']])
    assert.equal(0, number "select count(*) from rpa3_queue where claim is not null")
    db:sql "update rpa3_queue set state = 'waiting' where id = 3"
    h.wait_for(function() return db:sql "select state from rpa3_queue where id = 3" == "done" end)
    assert.equal("2", db:sql "select times from rpa3_results where queue_id = 3")
    for _, w in ipairs(workers) do stop(w) end
    assert.is_nil((p.out .. p.err .. workers[1].err):find("pw-Zk7", 1, true))
  end)

  it("end every row once, workers and coordinator killed a hundred times at any moment", function()
    local last, started = 0, 0
    local count = killing.run {
      times = 100, at_once = 4, span = 0.4,
      feed = function()
        if number "select count(*) from rpa3_queue where state <> 'done'" < 500 then
          put(last + 1, last + 1000)
          last = last + 1000
        end
      end,
      start = function()
        started = started + 1
        if started % 4 == 0 then return h.spawn { args = { "script", "flows/jobs/rpa3.lua" }, env = environment() } end
        return worker { CONTAINER_RPA3_BATCH_SIZE = tostring(math.random(30)) }
      end,
    }
    assert.equal(100, count.killed)
    assert.is_true(number "select count(*) from rpa3_results" > 100)
    local w = worker()
    coordinate()
    stop(w)
    assert_once(last)
  end)

  it("release what dead workers claimed, and leave living ones theirs", function()
    put(1, 20)
    db:sql "update rpa3_queue set state = 'claimed', claim = 2000000000, claimed_by = 'gone' where id <= 10"
    local p = h.spawn { args = { "script", "flows/jobs/rpa3.lua" }, env = environment() }
    h.wait_for(function() return number "select count(*) from rpa3_queue where state = 'waiting'" == 20 end)
    p:wait_line "rows of dead workers wait again"
    -- a worker that stands still lives
    put(21, 5000)
    local w = worker { CONTAINER_RPA3_BATCH_SIZE = "5000" }
    h.wait_for(function() return number "select count(*) from rpa3_queue where state = 'claimed'" > 0 end)
    local halted = { w.pid, table.unpack(w:children()) }
    for _, pid in ipairs(halted) do h.native.kill(pid, h.signals.STOP) end
    local function in_statement() return number "select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()" end
    h.wait_for(function() return in_statement() == 0 end)
    local claimed = number "select count(*) from rpa3_queue where state = 'claimed'"
    if claimed > 0 then
      local second = worker()
      second:kill "TERM"
      second:wait(20)
      assert.equal(claimed, number "select count(*) from rpa3_queue where state = 'claimed'")
    end
    for _, pid in ipairs(halted) do h.native.kill(pid, h.signals.CONT) end
    assert.equal(0, (p:wait(60)), p.err)
    stop(w)
    assert_once(5000)
  end)

  it("give back what is left of a batch on TERM", function()
    put(1, 5000)
    local w = worker { CONTAINER_RPA3_BATCH_SIZE = "5000" }
    h.wait_for(function() return number "select count(*) from rpa3_results" > 0 end)
    stop(w)
    local done = number "select count(*) from rpa3_results"
    assert.is_true(done < 5000)
    assert.equal(5000 - done, number "select count(*) from rpa3_queue where state = 'waiting'")
    assert.equal(done, number "select count(*) from rpa3_queue where state = 'done'")
  end)

  it("set aside what is no good, with the reason, and keep every digit", function()
    db:sql [[insert into rpa3_queue (payload) values ('[1]'), ('{"a": {"b": 1}}'), ('{"date": "x"}'), ('null'), ('{}'),
      ('{"n": 12345678901234567890.12345678901234567890, "none": null, "t": true}'),
      (jsonb_build_object('long', repeat('x', 200000))), (jsonb_build_object('a', repeat(E'\u20ac"', 25000))),
      (jsonb_build_object(repeat(E'\u20ac', 200) || '_date', repeat(E'\u20ac', 200))),
      (('{"deep": ' || repeat('[', 500) || repeat(']', 500) || '}')::jsonb), (jsonb_build_object('a', E'\u0001\n"\\'))]]
    local w = worker()
    coordinate()
    stop(w)
    assert.equal("expected an object\na: expected a plain value", (db:sql
      "select error from rpa3_queue where state = 'failed' order by id limit 2"))
    assert.equal(7, number "select count(*) from rpa3_queue where state = 'failed' and error <> ''")
    assert.equal(4, number "select count(*) from rpa3_results")
    assert.equal("12345678901234567890.12345678901234567890||true",
      db:sql "select result->>'n', result->>'none', result->>'t' from rpa3_results where result ? 'n'")
    assert.matches("is set aside", w.err .. w.out, 1, true)
  end)

  it("go on after the database was away", function()
    local shared = db
    db = postgres.start { conf = { synchronous_commit = "on" } } -- one of its own: what a test restarts ends with the test
    finally(function() db = shared end)
    coordinate()
    put(1, 2000)
    local w = worker()
    h.wait_for(function() return number "select count(*) from rpa3_results" > 0 end)
    db:stop "immediate"
    w:wait_line("trying again", 10)
    db:restart()
    coordinate()
    stop(w)
    assert_once(2000)
  end)

  it("give up when the database stays away, with 75, and at once when it refuses, with 1", function()
    local uri = "postgresql://u:pw-secret@127.0.0.1:1/db"
    local p = worker { CONTAINER_RPA_DB_CONNECTION_STRING = uri }
    p:wait_line("trying again", 10)
    stop(p)
    assert.is_nil((p.out .. p.err):find("pw-secret", 1, true))
    p = coordinate({ CONTAINER_RPA_DB_CONNECTION_STRING = db:uri { password = "wrong-one" } }, 1)
    assert.is_nil((p.out .. p.err):find("wrong-one", 1, true))
  end)

  it("name a queue that is gone, and make it anew", function()
    put(1, 5000)
    local w = worker { CONTAINER_RPA3_BATCH_SIZE = "5" }
    h.wait_for(function() return number "select count(*) from rpa3_results" > 5 end)
    db:sql "drop table rpa3_queue, rpa3_results"
    assert.equal(1, (w:wait(20)), w.err)
    assert.matches('rpa3_%a+." does not exist', w.err)
    db:sql "create table rpa3_queue (id text); create table rpa3_results (id text)" -- somebody else's
    assert.matches('column .* does not exist %(table rpa3_queue%)', coordinate({}, 1).err)
    db:sql "drop table rpa3_queue, rpa3_results"
    coordinate()
    put(1, 50)
    w = worker()
    coordinate()
    stop(w)
    assert_once(50)
  end)

  it("stop although the queue is locked", function()
    put(1, 10)
    local locker = h.start { argv = { "/usr/bin/env", "psql", "-X", "-q", db:keywords(), "-c",
      "begin; lock table rpa3_queue in access exclusive mode; select pg_sleep(60)" } }
    h.wait_for(function() return number "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'rpa3_queue'::regclass" == 1 end)
    local w = worker()
    w:wait_line("trying again", 20)
    stop(w)
    db:sql "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' and pid <> pg_backend_pid()"
    locker:wait(10)
  end)

  it("stay when the container's mode is server", function()
    local p = h.spawn { args = { "script", "flows/jobs/rpa3.lua" }, env = environment { CONTAINER_EXECUTION_MODE = "server" } }
    put(1, 20)
    local w = worker()
    h.wait_for(function() return number "select count(*) from rpa3_results" == 20 end)
    db:sql "insert into rpa3_queue (payload, state, claim) values ('{\"id\": 21}', 'claimed', 2000000000)"
    h.wait_for(function() return number "select count(*) from rpa3_results" == 21 end)
    assert.is_false(p:ended())
    stop(p)
    stop(w)
  end)
end)
