-- The Lua API against the real world: cron, event, state, process, notifications of PostgreSQL. (Others: net_spec, http_script_spec,
-- script_spec, lua_spec, hooks_spec, custom_probe_spec.)
local h = require "harness"
local postgres = require "postgres"
local crashing = require "crashing"
local reloading = require "reloading"

-- Runs a chunk whose assertions say whether all is well; `fails` and `raises` are there for it.
local function passes(text, env)
  local file = h.write(h.tempdir() .. "/job.lua", [[
local function fails(code, value, err) assert(value == nil and err and err.code == code, err and tostring(err) or "it did not fail") return err.message end
local function raises(part, fn, ...) local ok, err = pcall(fn, ...) assert(not ok and tostring(err):find(part, 1, true), err) end
]] .. text)
  local code, out, err = h.run { args = { "script", file }, env = env }
  assert.equal(0, code, out .. err)
  return err
end

-- So many more lines of a check that runs each 0.1 s.
local function timer_passes(p)
  local n = #p:events "message"
  h.wait_for(function() return #p:events "message" >= n + 5 end)
end

local function flow(text, env)
  local dir = h.tempdir()
  h.write(dir .. "/f.lua", text)
  local e = { CONTAINER_RESTART_DELAY_SECONDS = "20ms" }
  for k, v in pairs(env or {}) do e[k] = v end
  return h.spawn { args = { "run", "--flows", dir, "--flow-name", "f" }, env = e }
end

describe("cron in scripts", function()
  it("reads expressions and says when they come", function()
    passes [[
      local s = assert(cron.parse("30 4 * * mon", { utc = true }))
      assert(s:next(1795415400) == 1796013000 and s:matches(1796013000) and not s:matches(1796013001))
      assert(cron.parse("* * * * * *"):next() > clock.now() - 1)
      assert(fails("cron", cron.parse "61 * * * *"):find("minute: \"61\"", 1, true))
      fails("cron", cron.parse "0 0 30 2 *")
      raises("cron.parse: expected an expression", cron.parse, 5)
      raises('unknown key "uct"; did you mean "utc"?', cron.parse, "@daily", { uct = true })
      raises("expected seconds since 1970", s.next, s, "soon")
      raises("cron.every: minute", cron.every, "x * * * *", print)
      raises("expected a function as second argument", cron.every, "@daily")]]
  end)

  it("runs a function at its times, until it is cancelled", function()
    passes [[
      local times = {}
      local job
      job = cron.every("* * * * * *", function()
        times[#times + 1] = clock.now()
        if #times == 2 then job:cancel() assert(job:next() == nil) end
      end, { name = "ticks", timeout = 5 })
      assert(job:next() <= clock.now() + 1)
      local late <const> = clock.monotonic() + 20
      while #times < 2 and clock.monotonic() < late do timer.sleep(0.05) end
      timer.sleep(1.1)
      assert(#times == 2 and times[2] > times[1])
      for _, t in ipairs(times) do assert(t % 1 < 0.9, t) end]]
  end)

  it("starts a process of the plan by the clock", function()
    local p = flow [[
      cron.every("* * * * * *", function() assert(process.start "nightly") end)
      return { mode = "server", processes = { main = { "sleep", "1000" }, nightly = { command = { "true" }, mode = "single" } } }]]
    p:wait_event("process_exited", { nth = 3 })
    assert.same({}, p:events "script_error")
  end)

  it("in a flow, tells an error and goes on, and never runs twice at once", function()
    local p = flow [[
      local n = 0
      cron.every("* * * * * *", function() n = n + 1 if n == 1 then error "oops" end log.info("run", { n = n }) timer.sleep(60) end, { name = "nightly" })
      return { processes = { main = { "sleep", "1000" } } }]]
    local told = p:wait_event "script_error"
    assert.equal("nightly", told.details.task)
    assert.matches("f.lua:2: oops", told.message)
    assert.equal(2, p:wait_event("message").details.n)
    p:kill "TERM"
    assert.equal(0, (p:wait()))
    assert.equal(1, #p:events "message")
  end)
end)

describe("event in scripts", function()
  it("emits, and tells subscribers one after the other, but not of what they emit themselves", function()
    local err = passes [[
      local got = {}
      local s = event.subscribe({ "purged", "echo" }, function(e)
        got[#got + 1] = e.event .. (e.details.n or "")
        timer.sleep(0.01)
        assert(event.emit("echo", { n = 0 }))
      end)
      for i = 1, 3 do assert(event.emit("purged", { n = i }, { message = "away", level = "warning" })) end
      while #got < 3 do timer.sleep(0.01) end
      timer.sleep(0.1)
      assert(table.concat(got, " ") == "purged1 purged2 purged3", table.concat(got, " "))
      s:cancel() s:cancel()
      event.emit("purged", { n = 4 })
      timer.sleep(0.05)
      assert(#got == 3)
      local list = event.list { name = "purged" }
      assert(#list == 4 and list[4].details.n == 4 and list[1].message == "away" and list[1].level == "WARNING")
      assert(list[1].component == "script" and list[1].timestamp:find "Z$" and math.abs(list[1].time - clock.now()) < 60)
      assert(#event.list { since = list[3].seq, name = "purged" } == 1 and #event.list { max = 2 } == 2)]]
    assert.matches('"level": "WARNING", "component": "script", "container_id": "[^"]+", "flow": "job", "event": "purged", "message": "away", "details": {"n": 1}', err)
  end)

  it("waits for one, for a time", function()
    passes [[
      timer.after(0.05, function() event.emit("ready", { x = { 1, 2 } }) end)
      local e = assert(event.wait({ "other", "ready" }, 20))
      assert(e.event == "ready" and e.details.x[2] == 2)
      fails("timeout", event.wait("never", 0.05))]]
  end)

  it("keeps names and rates within bounds", function()
    passes [[
      raises("is an event of tend's own", event.emit, "process_exited")
      raises("expected a name of small letters", event.emit, "Bad-Name")
      raises("details: expected named fields", event.emit, "x", { 1, 2 })
      raises("level:", event.emit, "x", {}, { level = "LOUD" })
      raises("expected an event's name, a list of names", event.subscribe, {}, print)
      raises("expected a function", event.subscribe, "x")
      raises("since: expected a whole number", event.list, { since = -1 })
      local n, err = 0, nil
      repeat local ok ok, err = event.emit "flood" n = n + 1 until not ok or n > 1000
      assert(err.code == "busy" and n > 100 and n < 1000, n)]]
  end)

  it("of the engine reach a flow", function()
    local p = flow [[
      event.subscribe("process_exited", function(e) log.info("seen", e.details) end)
      event.subscribe("proces_started", print)
      return { processes = { main = { command = { "sh", "-c", "exit 3" } } } }]]
    assert.equal(3, p:wait_event("message").details.exit_code)
    local remark = p:events "notice"
    assert.is_true(remark[#remark].message:find('did you mean "process_started"?', 1, true) ~= nil, remark[#remark].message)
  end)
end)

describe("state in scripts", function()
  it("is a plain table, in a script kept for nobody", function()
    passes [[
      assert(next(state) == nil and state.x == nil)
      state.x = { 1, { y = 2 } }
      assert(state.x[2].y == 2 and json.encode(state) == '{"x": [1, {"y": 2}]}')]]
  end)

  it("outlives reloads, also one that is refused, and the engine", function()
    local function body(step)
      return ([[checks = { { name = "count", interval = 0.1, check = function()
        state.n = (state.n or 0) + %d
        state.seen = state.seen or {}
        state.seen["by %d"] = true
        log.debug("n", state)
        return true
      end } }, processes = { main = { "sleep", "1000" } }]]):format(step, step)
    end
    local r = reloading.start(body(1), { env = { CONTAINER_LOG_LEVEL = "DEBUG" } })
    local function at(least)
      return r.p:wait_event("message", { where = function(e) return e.message == "n" and e.details.n >= least end }).details
    end
    assert.same({ ["by 1"] = true }, at(3).seen)
    r:write("remedies = 7, " .. body(50))
    assert.equal(1, (r:reload()))
    r:write(body(1000))
    assert.equal(0, (r:reload()))
    local after = at(1000)
    assert.is_true(after.n < 1100, after.n)
    assert.same({ ["by 1"] = true, ["by 1000"] = true }, after.seen)
    at(2000)
    h.wait_for(function() return #r.p:events "message" > 5 end)
    local before = r.p:events "message"
    local n = before[#before].details.n
    timer_passes(r.p) -- a quarter of a second, after which it is kept
    crashing.kill(r.p)
    local last = at(n + 1000)
    assert.is_true(last.n > n and last.n % 1000 == n % 1000, n .. " " .. last.n)
    assert.same({ ["by 1"] = true, ["by 1000"] = true }, last.seen)
  end)

  it("tells once what cannot be kept", function()
    local p = flow [[
      return { processes = { main = { "sleep", "1000" } }, checks = { { name = "c", interval = 0.1, check = function()
        state.n = (state.n or 0) + 1
        state.f = print
        if state.n == 4 then log.info("four") end
        return true
      end } } }]]
    p:wait_event "message"
    local told = p:events "script_error"
    assert.equal(1, #told)
    assert.is_true(told[1].message:find("the table `state` is kept as it was, not as it is now: f: a function", 1, true) ~= nil, told[1].message)
  end)
end)

describe("trees of files in scripts", function()
  local function tree()
    local dir = h.tempdir() .. "/data/cache"
    h.sh(("mkdir -p %s/a/b && echo hello > %s/a/f && echo x > %s/a/b/g && ln -s /etc %s/a/link"):format(dir, dir, dir, dir))
    return dir
  end
  local chunk = [[
    local dir = "%s"
    local list, left = assert(fs.tree(dir))
    local seen = {}
    for i, e in ipairs(list) do seen[i] = e.path .. ":" .. e.type assert(e.mtime > 1e9 and e.size >= 0) end
    assert(table.concat(seen, " ") == "a:directory a/b:directory a/b/g:file a/f:file a/link:link" and left == 0, table.concat(seen, " "))
    list, left = fs.tree(dir, { max = 2 })
    assert(#list == 2 and left == 3)
    local u = assert(fs.usage(dir))
    assert(u.files == 3 and u.directories == 2 and u.bytes > 0 and u.problems == 0)
    local s = assert(fs.space(dir))
    assert(s.total >= s.free and s.free >= s.available and s.total > 0)
    local _, err = fs.remove_tree("/etc")
    assert(err.code == "eperm" and err.message:find("belongs to the system", 1, true))
    _, err = fs.remove_tree(dir .. "/a/link")
    assert(err.code == "eloop")
    _, err = fs.remove_tree("relative/path")
    assert(err.code == "einval")
    _, err = fs.tree(dir .. "/none")
    assert(err.code == "enoent")
    u = assert(fs.remove_tree(dir))
    assert(u.files == 3 and u.directories == 3 and fs.exists(dir) == false and fs.exists "/etc/passwd")]]

  it("are listed, counted and removed, links not followed", function()
    passes(chunk:format(tree()) .. [[
      raises("fs.usage.tiemout: unknown option", fs.usage, "/tmp", { tiemout = 1 })
      raises("fs.tree.max: expected a whole number", fs.tree, "/tmp", { max = 0 })
      raises("fs.remove_tree: expected a path", fs.remove_tree)]])
  end)

  it("the same in a flow, where a helper does it", function()
    local p = flow('return { processes = { main = { "sleep", "1000" } }, hooks = { on_start = { timeout = 60, run = function()\n' ..
      chunk:format(tree()) .. '\nlog.critical("done", { level = log.level() }) end } } }')
    assert.equal("INFO", p:wait_event("message").details.level)
    assert.equal("CRITICAL", p:events("message")[1].level)
    assert.same({}, p:events "script_error")
  end)
end)

describe("process in scripts", function()
  it("starts commands that go on, with their output so far, signals and ends", function()
    passes [[
      local c <close> = assert(process.spawn { "sh", "-c", "trap 'echo term; exit 7' TERM; echo one; while :; do sleep 0.01; done" })
      while not c:output():find "one" do timer.sleep(0.01) end
      while not c:pid() do timer.sleep(0.01) end -- init tells it, maybe after the first words
      assert(c:running() and c:pid() > 1)
      fails("running", c:wait(0.01))
      assert(c:signal "TERM")
      local r = assert(c:wait())
      assert(r.code == 7 and not r.ok and r.output:find "^one\n.*term\n$" and r.seconds > 0 and c:wait(1).code == 7)
      assert(not c:running() and c:pid() == nil)
      fails("ended", c:signal "TERM")
      local none = assert(process.spawn { "/nonexistent/program" })
      fails("exec", none:wait())
      local late = assert(process.spawn { "sleep", "1000", timeout = 0.05 })
      fails("timeout", late:wait())
      local closed = assert(process.spawn { "sleep", "1000" })
      timer.after(0.05, function() closed:close() end)
      fails("closed", closed:wait())
      fails("closed", closed:output())
      closed:close()
      assert(process.spawn({ "cat", input = "hello", env = { A = 1 }, cwd = "/" }):wait().output == "hello")
      raises("process.spawn: unknown key \"tiemout\"; did you mean \"timeout\"?", process.spawn, { "true", tiemout = 1 })
      raises("process.spawn: expected a table", process.spawn, "true")
      raises("signal: \"NOPE\" is no signal", c.signal, c, "NOPE")]]
  end)

  it("ends what it started with the block, and with the engine", function()
    local mark = h.tempdir() .. "/mark"
    passes(([[
      do
        local c <close> = assert(process.spawn { "sh", "-c", "echo $$ > %s; exec sleep 1000" })
        while not fs.exists "%s" do timer.sleep(0.01) end
      end
      local pid = fs.read("%s"):match "%%d+"
      local late = clock.monotonic() + 20
      while fs.exists("/proc/" .. pid) and clock.monotonic() < late do timer.sleep(0.01) end
      assert(not fs.exists("/proc/" .. pid))]]):format(mark, mark, mark))
  end)

  it("has no plan's processes to ask in a script", function()
    passes [[
      for _, op in ipairs { "start", "stop", "restart", "get", "output" } do fails("unavailable", process[op] "main") end
      fails("unavailable", process.list())
      fails("unavailable", process.ask "status")
      fails("unavailable", process.signal("main", "HUP"))
      raises("process.stop: expected the name of a process", process.stop)
      raises("process.restart.wiat: unknown option", process.restart, "main", { wiat = true })
      raises("process.signal.instance: expected a whole number", process.signal, "main", "HUP", { instance = 1.5 })
      raises("process.output.lines: expected a whole number", process.output, "main", { lines = -1 })]]
  end)

  it("stops, starts, restarts, signals and reads the plan's processes, with audit", function()
    local p = flow [[
      local function check(what, ok, err) log.info(what, { ok = ok, err = err and err.code }) end
      return { mode = "server", processes = {
          main = { "sh", "-c", "trap 'echo hup' HUP; echo started; while :; do sleep 0.02; done" },
          side = { command = { "sleep", "1000" }, instances = 2 } },
        hooks = { on_running = function()
          timer.after(0, function()
            while not process.output "main":find "started" do timer.sleep(0.02) end
            check("signal", process.signal("main", "HUP"))
            while process.output("main", { lines = 1 }) ~= "hup\n" do timer.sleep(0.02) end
            check("both", process.signal("side", "URG"))
            check("one", process.signal("side", "URG", { instance = 1 }))
            check("stop", process.stop "side")
            check("state", process.get("side").state)
            check("start", process.start "side")
            check("restart", process.restart("side", { wait = true }))
            check("unknown", process.restart "nobody")
            check("unknown signal", process.signal("nobody", "HUP"))
            check("unknown output", process.output "nobody")
            check("done", #process.list())
          end)
        end } }]]
    p:wait_event("message", { where = function(e) return e.message == "done" end })
    local seen = {}
    for _, m in ipairs(p:events "message") do seen[m.message] = m.details end
    assert.same({ 1, 2, 1, true, "down", true, true }, { seen.signal.ok, seen.both.ok, seen.one.ok, seen.stop.ok, seen.state.ok, seen.start.ok, seen.restart.ok })
    assert.same({ "refused", "unknown", "unknown" }, { seen.unknown.err, seen["unknown signal"].err, seen["unknown output"].err })
    local ops = {}
    for _, e in ipairs(p:events "audit") do ops[#ops + 1] = e.details.op end
    assert.is_true(#ops >= 4)
    assert.equal("stop", ops[1])
  end)
end)

describe("notifications of PostgreSQL in scripts", function()
  it("are sent, heard in order, waited for", function()
    local db = postgres.start()
    passes([[
      local uri = settings.get "CONTAINER_RPA_DB_CONNECTION_STRING"
      local s <close> = assert(postgres.connect "rpa_db")
      raises("listens to nothing; call listen first", s.notification, s)
      assert(s:listen "orders" and s:listen 'odd "name"')
      fails("timeout", s:notification(0.05))
      assert(postgres.notify("rpa_db", "orders", "1"))
      assert(postgres.notify("rpa_db", 'odd "name"'))
      assert(s:notify("orders", "2"))
      local list = {}
      for i = 1, 3 do local n = assert(s:notification(20)) list[i] = n.channel .. ":" .. n.payload assert(n.pid > 0 and n.dropped == 0) end
      assert(table.concat(list, " ") == 'orders:1 odd "name":: orders:2' or table.concat(list, " ") == 'orders:1 odd "name": orders:2', table.concat(list, " "))
      timer.after(0.1, function() postgres.notify(uri, "orders", "later") end)
      assert(s:notification(20).payload == "later")
      assert(s:query("select 1 as one")[1].one == 1)
      assert(s:unlisten "orders")
      postgres.notify("rpa_db", "orders", "lost")
      fails("timeout", s:notification(0.1))
      assert(s:transaction(function(t) assert(t:notify('odd "name"', "in it")) return true end))
      assert(s:notification(20).payload == "in it")
      raises("expected the name of a channel", s.listen, s, "")
      raises("expected a text as payload", s.notify, s, "orders", 5)
      timer.after(0.05, function() s:close() end)
      fails("closed", s:notification(20))]], { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri() })
  end)

  it("say so when the connection is gone", function()
    local db = postgres.start()
    passes([[
      local s = assert(postgres.connect "rpa_db")
      assert(s:listen "orders")
      timer.after(0.1, function() postgres.query("rpa_db", "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename = current_user") end)
      fails("closed", s:notification(20))
      fails("closed", s:notification(20))]], { CONTAINER_RPA_DB_CONNECTION_STRING = db:uri() })
  end)
end)

describe("what scripts say and ask", function()
  it("is a line of its level", function()
    local file = h.write(h.tempdir() .. "/job.lua", [[
      log.debug("d", { n = 1 }) log.info "i" log.warning "w" log.error "e" log.critical("c", { why = "x" })
      log.info "all\0of\0"
      local ok, err = pcall(log.info, "told in any case", { odd = 0 / 0 })
      assert(not ok and err:find("fields", 1, true), err)]])
    local p = h.spawn { args = { "script", file }, env = { CONTAINER_LOG_LEVEL = "DEBUG" } }
    assert.equal(0, (p:wait()))
    local levels = {}
    for _, e in ipairs(p:events "message") do levels[#levels + 1] = e.level .. " " .. e.message end
    assert.equal("DEBUG d, INFO i, WARNING w, ERROR e, CRITICAL c, INFO all\u{FFFD}of\u{FFFD}, INFO told in any case", table.concat(levels, ", "))
  end)

  it("is refused as a metric with the bucket that is wrong", function()
    local file = h.write(h.tempdir() .. "/job.lua", [[
      local function refused(buckets) return select(2, pcall(metrics.histogram, "h", "H.", nil, buckets)) end
      log.info(refused { 1, "x" }) log.info(refused(3))]])
    local p = h.spawn { args = { "script", file } }
    assert.equal(0, (p:wait()))
    local said = p:events "message"
    assert.matches("h: buckets%[2%]: expected a number, got string", said[1].message)
    assert.matches("h: buckets: expected a list of numbers, got number", said[2].message)
  end)

  it("is known of the engine in a flow, with probes of what runs in it", function()
    local p = flow [[
      return { processes = { main = { "sh", "-c", "echo here; exec sleep 1000" } }, hooks = { on_running = function()
        local s = lifecycle.status()
        timer.sleep(0.2)
        local silent = probe.silence { process = "main", after = 0.01 }
        local speaks = probe.silence { process = "main", after = 3600 }
        local socket = probe.unix { path = settings.get "STATE_DIR" .. "/f/control.sock" }
        local none = probe.unix { path = "/nonexistent/socket" }
        log.info("asked", { state = s.state, silent = silent.reason, speaks = speaks.ok, socket = socket.ok, none = none.reason })
      end } }]]
    assert.same({ state = "RUNNING", silent = "silent", speaks = true, socket = true, none = "missing" }, p:wait_event("message").details)
  end)
end)
