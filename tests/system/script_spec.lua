-- tend script: a Lua file with all primitives; the Lua API against the real world.
local h = require "harness"
local postgres = require "postgres"

local function script(text, options)
  options = options or {}
  local file = h.write(h.tempdir() .. "/job.lua", text)
  local args = { "script", file }
  for _, word in ipairs(options.args or {}) do
    args[#args + 1] = word
  end
  return { args = args, env = options.env, file = file }
end

local function finish(options)
  local code, out, err = h.run(options)
  return { code = code, out = out, err = err }
end

local function run(text, options)
  return finish(script(text, options))
end

-- Runs a chunk whose assertions say whether all is well.
local function passes(text, options)
  local r = run(text, options)
  assert.equal(0, r.code, r.err)
  return r
end

describe("tend script", function()
  it("passes arguments and returns the file's value", function()
    local r = run("local a, b = ... assert(a == 'x y' and b == '--json' and arg[1] == a and #arg == 2) return 7",
      { args = { "x y", "--json" } })
    assert.equal(7, r.code, r.err)
    assert.equal(0, run("return").code)
    assert.equal(0, run("return true").code)
    assert.equal(1, run("return false").code)
  end)

  it("tells an error with file, line and traceback and exits 1", function()
    local r = run("local function inner()\n  error('oops')\nend\ninner()")
    assert.equal(1, r.code)
    assert.matches("job.lua:2: oops", r.err)
    assert.matches("in local 'inner'", r.err)
    r = run("return nil, 'no luck'")
    assert.equal(1, r.code)
    assert.matches("no luck", r.err)
  end)

  it("exits 126 for what does not load, 127 for what is not there, 64 without a file", function()
    local r = run("x = = 1")
    assert.equal(126, r.code)
    assert.matches("job.lua:1: unexpected symbol", r.err)
    r = run("\27Lua")
    assert.equal(126, r.code)
    assert.matches("only text is loaded", r.err)
    assert.equal(127, finish({ args = { "script", "/nowhere/job.lua" } }).code)
    assert.equal(64, finish({ args = { "script" } }).code)
  end)

  it("finds files beside the flows directory", function()
    local dir = h.tempdir()
    assert(h.sh("mkdir -p " .. dir .. "/flows/jobs"))
    h.write(dir .. "/flows/jobs/a.lua", "return 9")
    assert.equal(9, finish({ args = { "script", "flows/jobs/a.lua" }, env = { CONTAINER_FLOWS_DIR = dir .. "/flows" }, cwd = "/" }).code)
  end)

  it("ends by TERM, closing what is open, also when it waits, loops or starts commands", function()
    for _, body in ipairs {
      "log.info('ready') timer.sleep(100)",
      "log.info('ready') while true do end",
      "log.info('ready') while true do pcall(timer.sleep, 100) end",
      "log.info('ready') process.run { 'sleep', '100' }",
    } do
      local p = h.spawn(script("local x <close> = setmetatable({}, { __close = function() print('closed') end }) " .. body))
      p:wait_line("ready")
      p:kill("TERM")
      local code, signal = p:wait()
      assert.is_true(signal == 15 or code == 143, body)
      assert.matches("closed", p.err, body)
    end
  end)

  it("lets a script stop by itself", function()
    local p = h.spawn(script [[
      signal.on("TERM", function() log.info("asked to stop") end)
      log.info("ready")
      while not signal.stopping() do timer.sleep(0.01) end
      return 4
    ]])
    p:wait_line("ready")
    p:kill("TERM")
    assert.equal(4, (p:wait()))
    assert.matches("asked to stop", p.err)
  end)

  it("gives other signals to the script", function()
    local p = h.spawn(script [[
      local seen = {}
      for _, name in ipairs { "USR1", "HUP", "RTMIN+2" } do
        signal.on(name, function() seen[name] = true log.info("got " .. name) end)
      end
      log.info("ready")
      while not (seen.USR1 and seen.HUP and seen["RTMIN+2"]) do timer.sleep(0.01) end
      assert(not signal.stopping())
      return 3
    ]])
    p:wait_line("ready")
    p:kill("USR1")
    p:kill("HUP")
    p:kill(36)
    assert.equal(3, (p:wait()), p.err)
  end)

  it("leaves nothing running when it is killed", function()
    local p = h.spawn(script "log.info('ready') process.run { 'sleep', '1234' }")
    p:wait_line("ready")
    local found
    h.wait_for(function()
      for _, pid in ipairs(p:children()) do
        found = found or pid
      end
      return found
    end, 10, "a child")
    p:kill("KILL")
    p:wait()
    h.wait_for(function() return not h.exists("/proc/" .. found) or h.sh("cat /proc/" .. found .. "/stat"):match("%) Z") end, 10,
      "its end")
  end)

  it("runs commands", function()
    passes [[
      local r = assert(process.run { "sh", "-c", "cat; echo err >&2; exit 3", input = "in\n" })
      assert(r.code == 3 and not r.ok and r.output == "in\nerr\n", r.output)
      r = assert(process.run { "sh", "-c", "kill -9 $$" })
      assert(r.signal == "KILL" and r.code == 137)
      local none, err = process.run { "/nonexistent" }
      assert(none == nil and err.code == "exec", tostring(err))
      none, err = process.run { "sleep", "100", timeout = 0.1 }
      assert(none == nil and err.code == "timeout")
      r = assert(process.run { "sh", "-c", "echo $A$B; pwd", env = { A = "x", B = 2 }, cwd = "/" })
      assert(r.output == "x2\n/\n", r.output)
      local ok, message = pcall(process.run, { "true", timeot = 1 })
      assert(not ok and tostring(message):find('did you mean "timeout"', 1, true), tostring(message))
      r = assert(process.run { "tend", "version" })
      assert(r.ok and r.output:find("tend", 1, true))
    ]]
  end)

  it("does file operations in a helper as in place", function()
    passes([[
      local dir = ...
      local function helper(op, path, ...)
        local command = { "tend", "helper", "fs", op, path, ... }
        return assert(process.run(command))
      end
      assert(fs.write_atomic(dir .. "/a", "text"))
      assert(helper("read", dir .. "/a", "--offset", "1", "--max", "2").output == "ex")
      assert(json.decode(helper("stat", dir .. "/a").output).size == 4)
      assert(helper("mkdir", dir .. "/x/y").ok and helper("rename", dir .. "/a", dir .. "/x/y/b").ok)
      local r = helper("remove", dir .. "/a")
      assert(not r.ok and r.output:match("^enoent cannot remove "), r.output)
      r = assert(process.run { "tend", "helper", "fs", "write", dir .. "/w", input = "data" })
      assert(r.ok and fs.read(dir .. "/w") == "data")
    ]], { args = { h.tempdir() } })
  end)

  it("probes", function()
    passes([[
      local r = probe.directory { path = ..., writable = true }
      assert(r.ok and r.status == "ok", r.detail)
      r = probe.tcp { host = "127.0.0.1", port = tonumber((select(2, ...))) }
      assert(not r.ok and r.reason == "refused", r.detail)
      local ok, message = pcall(probe.tcp, { host = "127.0.0.1", prt = 1 })
      assert(not ok and tostring(message):find("prt", 1, true), tostring(message))
    ]], { args = { h.tempdir(), tostring(h.free_port()) } })
  end)
end)

describe("postgres in a script", function()
  local db

  setup(function()
    if not postgres.missing() then
      db = postgres.start()
    end
  end)

  local function with_database(text)
    if not db then
      pending(postgres.missing())
    end
    return passes(text, { env = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_FLOW_NAME = "rpa1" } })
  end

  it("queries with parameters and gives typed values", function()
    with_database [[
      local rows = assert(postgres.query("rpa_db", "select $1::int + 1 as n, $2 as t, true as b, null as z, 1.5::float8 as f, "
        .. "12345678901234567::int8 as big, 2.50::numeric as m, $3::text is null as isnull", 41, "ä'\"", nil))
      local r = rows[1]
      assert(#rows == 1 and r.n == 42 and math.type(r.n) == "integer" and r.t == "ä'\"" and r.b == true and r.z == nil)
      assert(r.f == 1.5 and r.big == 12345678901234567 and r.m == 2.5 and r.isnull == true)
      assert(#assert(postgres.query("rpa_db", "select 1 where false")) == 0)
      local none, err = postgres.query("rpa_db", "select nope")
      assert(none == nil and err.code == "query" and err.sqlstate == "42703", tostring(err))
      assert(err.where:find("^.+%.lua:%d+$") and not err.where:find("scripts/tend/", 1, true), err.where)
      none, err = postgres.query("stock", "select 1")
      assert(none == nil and err.code == "config" and err.message:find("CONTAINER_DATABASE_STOCK", 1, true), tostring(err))
    ]]
  end)

  it("runs transactions that commit, roll back and go with their connection", function()
    with_database [[
      local s <close> = assert(postgres.connect "rpa_db")
      assert(s:execute("create temporary table t (v int)"))
      assert(s:transaction(function(tx)
        assert(assert(tx:execute("insert into t values (1), (2)")) == 2)
        return "done"
      end) == "done")
      local ok, message = pcall(s.transaction, s, function(tx)
        tx:execute("insert into t values (3)")
        error("changed my mind")
      end)
      assert(not ok and tostring(message):find("changed my mind", 1, true))
      local none, err = s:transaction(function(tx)
        tx:execute("insert into t values (4)")
        return nil, "no"
      end)
      assert(none == nil and err == "no")
      none, err = s:transaction(function(tx)
        tx:execute("insert into t values (5)")
        assert(not tx:execute("insert into nowhere values (6)"))
        return true
      end)
      assert(none == nil and err.message:find("rolled back", 1, true), tostring(err))
      assert(s:query("select count(*) as n from t")[1].n == 2)
      timer.after(0.1, function() s:close() end) -- under a query that waits
      none, err = s:query("select pg_sleep(60)")
      assert(none == nil and err.code == "closed", tostring(err))
      none, err = s:query("select 1")
      assert(none == nil and err.code == "closed", tostring(err))
    ]]
  end)

  it("waits for the database while everything else goes on, and keeps to its time", function()
    with_database [[
      local ticks = 0
      local t = timer.every(0.01, function() ticks = ticks + 1 end)
      assert(postgres.query("rpa_db", "select pg_sleep(0.3)"))
      assert(ticks > 3, ticks) -- some 30; none, where the wait blocks
      t:cancel()
      local begun = clock.monotonic()
      local none, err = postgres.query({ name = "rpa_db", query_timeout = 0.2 }, "select pg_sleep(60)")
      assert(none == nil and err.code == "timeout", tostring(err))
      assert(clock.monotonic() - begun < 5)
    ]]
  end)

  it("never shows the password", function()
    if not db then
      pending(postgres.missing())
    end
    local r = run([[
      local none, err = postgres.query("rpa_db", "select 1")
      print(err)
      log.info("x", { connection = settings.get "RPA_DB_CONNECTION_STRING" })
    ]], { env = { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri { password = "wrong-secret" } } })
    assert.equal(0, r.code, r.err)
    assert.matches("authentication", r.err)
    assert.is_nil(r.err:find("wrong-secret", 1, true))
    assert.is_nil(r.out:find("wrong-secret", 1, true))
  end)
end)
