-- Reloads: only what differs is touched; what is wrong is refused whole.
local h = require "harness"
local R = require "reloading"

local MAIN = [[processes = { main = { command = { "sleep", "1000" } } },]]

-- A check in Lua that leaves a mark in a file each time, so that its runs can be counted from outside.
local function check(name, more)
  return ([[{ name = %q, interval = 0.2, check = function()
      return true
    end%s },]]):format(name, more or "")
end

describe("a reload", function()
  it("shows the difference and changes nothing with --dry-run", function()
    local r = R.start(MAIN)
    local pid = r:processes().main.pid
    r:write([[processes = { main = { command = { "sleep", "1001" } }, web = { command = { "sleep", "1" } } },]])
    local code, out = h.ask(r.p, "reload", "--dry-run")
    assert.equal(0, code)
    assert.equal("process web added, process main changed\n  ~ process main: command (at its next start)\n  + process web\n",
      out)
    assert.equal(pid, r:processes().main.pid)
    assert.is_nil(r:processes().web)
    assert.equal(0, #r.p:events("policy_reloaded"))
    code, out = h.ask(r.p, "reload", "--dry-run", "--read-only")
    assert.equal(0, code)
    assert.truthy(out:find("web", 1, true))
    code = h.ask(r.p, "reload", "--read-only")
    assert.equal(1, code)
  end)

  it("keeps pid, counters and timers of what is unchanged", function()
    local r = R.start(MAIN .. "checks = {" .. check("steady") .. "}")
    local pid = r:processes().main.pid
    h.wait_for(function() return r:checks().steady.attempts >= 3 end, 10, "three runs")
    local before = r:checks().steady
    local answer = r:rewrite("checks = { { name = 'other', interval = 60, check = function() return true end },\n" ..
      check("steady") .. "}, " .. MAIN)
    assert.same({ checks = { added = { "other" } } }, answer.difference)
    local after = r:checks().steady
    assert.is_true(after.attempts >= before.attempts)
    assert.equal(before.since, after.since)
    assert.equal(pid, r:processes().main.pid)
    assert.equal(1, r:processes().main.runs)
    -- the timer goes on: the next runs come as before
    h.wait_for(function() return r:checks().steady.attempts >= before.attempts + 3 end, 10, "more runs")
    local e = r.p:wait_event("policy_reloaded")
    assert.equal(2, e.details.generation)
    assert.equal("operator", e.details.trigger)
    assert.same({ added = { "other" } }, e.details.difference.checks)
    assert.is_number(e.duration_ms)
    -- a changed check begins anew, one that is gone is gone
    answer = r:rewrite(MAIN .. "checks = {" .. check("steady", ", failures = 7") .. "}")
    assert.same({ changed = { { name = "steady", keys = "failures", effect = "at_once" } }, removed = { "other" } },
      answer.difference.checks)
    assert.is_true(r:checks().steady.attempts < after.attempts)
    assert.is_nil(r:checks().other)
  end)

  it("starts what is added in order, and stops what is gone by its own stop", function()
    local r = R.start(MAIN)
    local pid = r:processes().main.pid
    local db = [[db = { command = { "sh", "-c", "trap 'echo db stops; exit 0' USR1; echo db runs; while :; do sleep 0.05; done" },
      stop = { signal = "USR1" } },]]
    local web = [[web = { command = { "sh", "-c", "echo web runs; exec sleep 1000" }, after = "db" },]]
    r:rewrite([[processes = { main = { command = { "sleep", "1000" } }, ]] .. web .. db .. "},")
    r.p:wait_line("^db runs$")
    r.p:wait_line("^web runs$")
    r:wait_process("web", "up")
    r:wait_count("process_started", 3)
    local started = {}
    for _, e in ipairs(r.p:events("process_started")) do started[#started + 1] = e.details.process end
    assert.same({ "main", "db", "web" }, started)
    r:rewrite(MAIN)
    r.p:wait_line("^db stops$")
    r:wait_process("db", nil)
    r:wait_process("web", nil)
    local exited = {}
    for _, e in ipairs(r.p:events("process_exited")) do
      exited[#exited + 1] = e.details.process .. " " .. e.details.reason
    end
    assert.same({ "web stopped", "db stopped" }, exited)
    assert.equal(0, #r.p:events("failure_detected"))
    assert.equal(pid, r:processes().main.pid)
  end)

  it("restarts a changed process only where the flow says so", function()
    local r = R.start([[processes = { main = { command = { "sleep", "1000" } }, web = { command = { "sleep", "1000" } } },]])
    r:wait_process("web", "up")
    local before = r:processes()
    r:rewrite([[processes = { main = { command = { "sleep", "1000" } }, web = { command = { "sleep", "2000" } } },]])
    assert.equal(before.web.pid, r:processes().web.pid)
    assert.equal(0, (h.ask(r.p, "restart", "web")))
    assert.equal("sleep 2000", h.sh("tr '\\0' ' ' < /proc/" .. math.tointeger(r:processes().web.pid) .. "/cmdline"):match("^(.-)%s*$"))
    local pid = r:processes().web.pid
    r:rewrite([[processes = { main = { command = { "sleep", "1000" } },
      web = { command = { "sleep", "3000" }, env = { A = "1" }, on_change = "restart" } },]])
    h.wait_for(function()
      local web = r:processes().web
      return web.state == "up" and web.pid ~= pid
    end, 10, "web runs anew")
    assert.equal(before.main.pid, r:processes().main.pid)
    local e = r.p:wait_event("restart_initiated", { n = 2 })
    assert.equal("reload", r.p:events("restart_initiated")[2].details.cause)
    assert.is_table(e)
    -- main is no exception
    r:rewrite([[processes = { main = { command = { "sleep", "4000" }, on_change = "restart" },
      web = { command = { "sleep", "3000" }, env = { A = "1" }, on_change = "restart" } },]])
    h.wait_for(function()
      local main = r:processes().main
      return main.state == "up" and main.pid ~= before.main.pid and r:status().state == "RUNNING"
    end, 10, "main runs anew")
  end)

  it("follows the number of instances", function()
    local body = [[processes = { main = { command = { "sleep", "1000" } }, w = { command = { "sleep", "1000" }, instances = %d } },]]
    local r = R.start(body:format(2))
    local function up()
      local pids = {}
      for _, x in ipairs(r:status().processes) do
        if x.name == "w" and x.state == "up" then pids[#pids + 1] = x.pid end
      end
      return pids
    end
    h.wait_for(function() return #up() == 2 end, 10, "two workers")
    local before = up()
    r:rewrite(body:format(4))
    h.wait_for(function() return #up() == 4 end, 10, "four workers")
    r:rewrite(body:format(1))
    h.wait_for(function()
      local n = 0
      for _, x in ipairs(r:status().processes) do n = n + (x.name == "w" and 1 or 0) end
      return n == 1
    end, 10, "one worker")
    assert.same({ before[1] }, up())
  end)

  it("takes over restart policy, hooks and cleanup", function()
    local r = R.start(MAIN)
    r:rewrite([[processes = { main = { command = { "sh", "-c", "exec sleep 1000" }, restart = "no" } },
      hooks = { on_stop = function() log.info "the new hook" end },
      cleanup = { { name = "last", run = function() log.info "the new cleanup" end } },]])
    r.p:kill("TERM")
    assert.equal(0, (r.p:wait()))
    r.p:wait_line("the new hook", 5, "err")
    r.p:wait_line("the new cleanup", 5, "err")
  end)

  it("keeps the budget of an unchanged remedy, and its runs", function()
    local body = [[processes = { main = { command = { "sleep", "1000" } } },
      checks = { { name = "bad", interval = 0.2, failures = 1, check = function()
          return nil, "bad"
        end } },
      remedies = { { name = "mend", check = "bad", max = 1, window = 3600, cooldown = 0, steps = { { name = "step", run = function()
          log.info "mended"
        end } } } },]]
    local r = R.start(body)
    r.p:wait_event("remediation_completed")
    r:rewrite(body .. "summary = 'another text',")
    r.p:wait_event("remediation_exhausted")
    assert.equal(1, #r.p:events("remediation_started"))
    local status = r:status()
    assert.equal(1, status.remedies[1].runs)
    assert.equal("mend", status.remediations[1].remedy)
    -- a run that is under way ends where its remedy is gone
    local long = body:gsub('log.info "mended"', "timer.sleep(1000)"):gsub("mend\"", "long\"")
    r:rewrite(long)
    h.wait_for(function() return #r.p:events("remediation_started") == 2 end, 10, "the second run")
    r:rewrite(MAIN)
    local done = r:wait_count("remediation_completed", 2)
    assert.equal("cancelled", done[2].details.result)
  end)

  it("comes with SIGHUP, also as process 1", function()
    local r = R.start(MAIN, { pid1 = true })
    r:write(MAIN .. "checks = {" .. check("new") .. "}")
    r.p:kill("HUP")
    local e = r.p:wait_event("policy_reloaded")
    assert.equal("signal", e.details.trigger)
    h.wait_for(function() return r:checks().new end, 10, "the new check")
    assert.equal("RUNNING", r:status().state)
  end)

  it("says that nothing has changed", function()
    local r = R.start(MAIN)
    local code, answer = r:reload()
    assert.equal(0, code)
    assert.equal("nothing has changed", answer.message)
    assert.equal(1, answer.generation)
  end)

  it("lets calls that run come to their end, and lets nothing else of the old run on", function()
    local r = R.start(MAIN .. [[checks = { { name = "slow", interval = 5, timeout = 5, fast_interval = 0.1, failures = 1, check = function()
          log.info "the run has begun"
          while not fs.read(dir .. "/go") do timer.sleep(0.02) end
          return true
        end }, { name = "quick", interval = 0.1, check = function() return true end } },]])
    r.p:wait_line("the run has begun", 10, "err")
    local runs = r:checks().slow.attempts
    local file = io.open(r.file):read("a")
    h.write(r.file, "timer.every(0.05, function() log.info('tick of the new') end)\n" .. file)
    assert.equal(0, (r:reload()))
    h.write(r.dir .. "/go", "x")
    h.wait_for(function() return r:checks().slow.attempts > runs end, 10, "its result")
    assert.equal("healthy", r:checks().slow.status)
    r.p:wait_line("tick of the new", 5, "err")
    h.write(r.file, file)
    assert.equal(0, (r:reload()))
    local function ticks() return select(2, r.p.err:gsub("tick of the new", "")) end
    local n = ticks()
    local quick = r:checks().quick.attempts
    h.wait_for(function() return r:checks().quick.attempts > quick + 3 end, 10, "time goes on")
    assert.is_true(ticks() - n <= 1)
  end)
end)
