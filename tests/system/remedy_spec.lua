-- Remedies: ladders, budget and escalation, maintenance, dry runs, by hand (contract 6; features of health checks).
local h = require "harness"
local http = require "endpoint"
local cjson = require "cjson"

-- A flow whose check `thing` fails while the file `bad` is there, with these remedies; %s in them is the folder.
local function run(remedies, o)
  o = o or {}
  local dir = h.tempdir()
  h.write(dir .. "/some.lua", ([[
    local dir = %q
    local function note(text) return function() fs.append(dir .. "/done", text .. "\n") end end
    return { name = "some", mode = "server", processes = { main = { command = { %s } }, %s },
      checks = { { name = "thing", interval = 0.5, timeout = 0.5, fast_interval = 0.1, down_interval = 0.1, failures = 2, check = function()
        if fs.stat(dir .. "/bad") then return false, "bad is there" end
        return true
      end }, %s },
      remedies = { %s } }]]):format(dir, o.command or '"sleep", "1000"', o.processes or "", o.checks or "", remedies))
  local all = { args = { "run", "--flow-name", "some", "--flows", dir, table.unpack(o.args or {}) },
                env = { CONTAINER_RESTART_DELAY_SECONDS = 0.05, CONTAINER_RESTART_EXPONENTIAL_BACKOFF = "false" } }
  for k, v in pairs(o.env or {}) do all.env[k] = v end
  local p = (o.http and http.spawn or h.spawn)(all)
  p.folder = dir
  if o.bad then h.write(dir .. "/bad", "") end
  p:wait_event("startup_completed")
  return p
end

local function bad(p) h.write(p.folder .. "/bad", "") end
local function good(p) os.remove(p.folder .. "/bad") end
local function done(p) return h.read(p.folder .. "/done") or "" end

local function status(p)
  local code, out = h.ask(p, "status", "--json")
  assert.equal(0, code)
  return cjson.decode(out)
end

local HEALS = [[{ name = "heal", run = function() fs.remove(dir .. "/bad") end }]]

describe("a ladder", function()
  it("stops at the step that heals, and says so with cause, steps and duration", function()
    local p = run([[{ name = "ladder", check = "thing", steps = {
      { name = "first", run = note "first" }, { kind = "collect" }, ]] .. HEALS .. [[, { name = "never", run = note "never" } },
      escalate = { { kind = "restart" } } }]])
    bad(p)
    local e = p:wait_event("recovery_completed")
    assert.equal("first\n", done(p))
    assert.same({ check = "thing", remedy = "ladder", step = "heal", steps = 3, cause = "check thing: bad is there" }, e.details)
    assert.is_true(e.duration_ms > 0)
    assert.equal(1, #p:events("remediation_started"))
    assert.equal("bad is there", p:events("remediation_started")[1].details.cause:match("bad.*"))
    local completed = p:events("remediation_completed")[1]
    assert.equal("healed", completed.details.result)
    local steps = {}
    for i, s in ipairs(completed.details.steps) do steps[i] = s.name .. " " .. s.outcome end
    assert.same({ "first ok", "collect ok", "heal ok" }, steps)
    local seen = status(p)
    assert.equal("healed", seen.remediations[1].result)
    assert.same({ "thing" }, seen.remedies[1].checks)
    assert.equal("resting", seen.remedies[1].state)
    assert.equal("healed", seen.remedies[1].last_result)
  end)

  it("begins within the interval of the check, and is counted", function()
    local p = run([[{ name = "ladder", check = "quick", failures = 1, cooldown = 0, max = 9,
      steps = { { name = "heal", run = function() fs.remove(dir .. "/quick") end } } }]],
      { http = true, checks = [[{ name = "quick", interval = 1, timeout = 1, failures = 1, check = function() return not fs.stat(dir .. "/quick"), "quick" end }]] })
    p:wait_event("health_check_passed", { where = function(e) return e.details.check == "quick" end })
    local best = math.huge
    for i = 1, 5 do
      local watch = h.stopwatch()
      h.write(p.folder .. "/quick", "")
      p:wait_event("remediation_started", { nth = i })
      best = math.min(best, (watch()))
      p:wait_event("recovery_completed", { nth = i })
    end
    assert.is_true(best <= 1.1, best)
    local text = http.get(p, "/metrics").body
    assert.truthy(text:find('tend_remediations_total{[^}]*remedy="ladder",result="healed"[^}]*} 5'), text)
    assert.truthy(text:find('tend_remedy_actions_total{[^}]*remedy="ladder",action="heal",result="ok"[^}]*} 5'), text)
    assert.truthy(text:find("tend_maintenance{[^}]*} 0"))
    assert.equal(0, (h.ask(p, "maintenance", "on")))
    assert.truthy(http.get(p, "/metrics").body:find("tend_maintenance{[^}]*} 1"))
    assert.equal(200, http.get(p, "/readyz").status)
    assert.equal("ladder", http.get(p, "/status").json().remediations[1].remedy)
  end)

  it("may ask what is good less often for a while", function()
    local p = run([[{ name = "relief", steps = { { kind = "slow_checks", params = { factor = 50, for_s = 600 } } } }]],
      { checks = [[{ name = "often", interval = 0.1, timeout = 0.1, check = function() return true end }]] })
    p:wait_event("health_check_passed", { where = function(e) return e.details.check == "often" end })
    assert.equal(0, (h.ask(p, "remediate", "relief")))
    h.wait_for(function()
      for _, c in ipairs(status(p).checks) do
        local wait = c.name == "often" and c.next ~= cjson.null and (c.next:sub(18, 23) - c.at:sub(18, 23)) % 60
        if wait and wait > 4 then return true end
      end
    end)
  end)

  it("tells the recovery once, when the check counts as good", function()
    local p = run([[{ name = "ladder", check = "slow", steps = { { name = "heal", run = function() fs.remove(dir .. "/slow") end } } }]],
      { checks = [[{ name = "slow", interval = 0.5, timeout = 0.5, fast_interval = 0.1, down_interval = 0.1, successes = 3, failures = 2,
        check = function() return not fs.stat(dir .. "/slow"), "slow" end }]] })
    p:wait_event("health_check_passed", { where = function(e) return e.details.check == "slow" end })
    h.write(p.folder .. "/slow", "")
    p:wait_event("recovery_completed")
    assert.equal("healed", p:events("remediation_completed")[1].details.result)
    h.wait_for(function() return status(p).health == "healthy" end)
    local e = p:events("recovery_completed")
    assert.equal(1, #e)
    assert.equal("heal", e[1].details.step)
  end)

  it("goes on after steps that fail, raise, hang or have nothing to do", function()
    local p = run([[{ name = "ladder", check = "thing", steps = {
      { name = "raises", run = function() error("boom") end },
      { name = "says_no", run = function() return nil, "it did not work" end },
      { name = "hangs", timeout = 0.1, run = function() timer.sleep(600) end },
      { name = "loops", timeout = 0.3, run = function() while true do end end },
      { name = "nothing", run = function() return "skip", "there was nothing" end },
      { name = "fails", kind = "command", params = { command = { "sh", "-c", "echo it broke; exit 3" } } },
      { name = "slow", kind = "command", timeout = 0.1, params = { command = { "sleep", "1000" } } },
      { name = "missing", kind = "command", params = { command = { "/no/such/program" } } },
      { name = "works", kind = "command", params = { command = { "sh", "-c", "echo it works" } } },
      { kind = "reset_database" }, ]] .. HEALS .. "} }")
    bad(p)
    p:wait_event("recovery_completed")
    local steps = {}
    for i, s in ipairs(p:events("remediation_completed")[1].details.steps) do steps[i] = s.name .. " " .. s.outcome .. " " .. s.detail end
    assert.matches("^raises failed .*some.lua:%d+: boom", steps[1])
    assert.equal("says_no failed it did not work", steps[2])
    assert.matches("^hangs timeout", steps[3])
    assert.matches("^loops timeout", steps[4])
    assert.equal("nothing skipped there was nothing", steps[5])
    assert.equal("fails failed exit code 3: it broke", steps[6])
    assert.matches("^slow timeout", steps[7])
    assert.matches("^missing failed", steps[8])
    assert.equal("works ok it works", steps[9])
    assert.matches("^reset_database failed there is no database", steps[10])
    assert.equal("heal ok ", steps[11])
  end)

  it("signals the workload", function()
    local p = run([[{ name = "ladder", check = "thing", steps = { { kind = "signal", params = { signal = "USR1" }, settle = 0.2 } } }]],
      { command = [["sh", "-c", "trap 'echo got usr1; rm -f " .. dir .. "/bad' USR1; echo ready; while :; do sleep 0.02; done"]] })
    p:wait_line("^ready$")
    bad(p)
    p:wait_event("recovery_completed")
    assert.truthy(p.out:find("got usr1", 1, true))
  end)

  it("restarts the process, which then gets as many tries as make the check bad", function()
    local p = run([[{ name = "ladder", check = "thing", steps = { { kind = "restart", settle = 0.5 } }, escalate = { { kind = "fail" } } }]],
      { command = [["sh", "-c", "echo begun; test -e " .. dir .. "/once && { sleep 0.1; rm -f " .. dir .. "/bad; }; touch " .. dir .. "/once; exec sleep 1000"]] })
    p:wait_line("^begun$")
    h.wait_for(function() return h.exists(p.folder .. "/once") end)
    bad(p)
    local e = p:wait_event("recovery_completed", { where = function(x) return x.details.remedy end })
    assert.equal("restart", e.details.step)
    local exit = p:events("process_exited")[1]
    assert.equal("check", exit.details.reason)
    assert.equal(1, #p:events("restart_initiated"))
    assert.equal("RUNNING", status(p).state)
  end)

  it("an answer unknown ends it without escalation", function()
    local p = run([[{ name = "ladder", check = "odd", failures = 1, steps = { { name = "break", run = function() fs.append(dir .. "/broken", "") end } },
      escalate = { { kind = "fail" } } }]],
      { checks = [[{ name = "odd", interval = 0.5, timeout = 0.5, fast_interval = 0.1, down_interval = 0.1, check = function()
          if fs.stat(dir .. "/broken") then error("no idea") end
          return not fs.stat(dir .. "/bad"), "bad"
        end }]] })
    bad(p)
    assert.equal("unknown", p:wait_event("remediation_completed").details.result)
    assert.equal("RUNNING", status(p).state)
  end)
end)

describe("the budget", function()
  it("used up, it escalates: a restart, then the container fails", function()
    local p = run([[{ name = "ladder", check = "thing", max = 2, cooldown = 0, steps = { ]] .. HEALS .. [[ },
      escalate = { { kind = "restart" }, { kind = "fail" } } }]])
    for i = 1, 2 do
      bad(p)
      p:wait_event("recovery_completed", { nth = i, where = function(e) return e.details.remedy end })
    end
    bad(p)
    assert.equal(1, (p:wait(30)))
    local list = {}
    for i, e in ipairs(p:events("remediation_completed")) do list[i] = e.details.result end
    assert.same({ "healed", "healed", "escalated" }, list)
    local last = p:events("remediation_completed")[3].details.steps
    assert.same({ "restart", "fail" }, { last[1].name, last[2].name })
    assert.is_true(p:events("remediation_started")[3].details.over_budget)
    local ended = p:events("shutdown_completed")[1].details
    assert.same({ "engine", "remedy", 1 }, { ended.exit_source, ended.cause, ended.exit_code })
    local report = cjson.decode(h.read(p.dir .. "/logs/some_lifecycle_metrics.json"))
    assert.equal("remedy ladder has ended it, check thing: bad is there", report.container_info.reason)
  end)

  it("without an escalation it gives up, and never loops", function()
    local p = run([[{ name = "ladder", check = "thing", max = 2, cooldown = 0, steps = { { name = "try", run = note "try" } } }]])
    bad(p)
    p:wait_event("remediation_exhausted")
    local failed = status(p).checks[1].failed
    h.wait_for(function() return status(p).checks[1].failed > failed + 4 end)
    assert.equal("try\ntry\n", done(p))
    assert.equal(1, #p:events("remediation_exhausted"))
    assert.equal("gave_up", status(p).remedies[1].state)
    good(p)
    p:wait_event("recovery_completed") -- told once it is good, with what was tried
    assert.equal(2, p:events("recovery_completed")[1].details.steps)
  end)

  it("rests between two runs", function()
    local p = run([[{ name = "ladder", check = "thing", cooldown = 600, steps = { { name = "try", run = note "try" } } }]])
    bad(p)
    p:wait_event("remediation_completed")
    local failed = status(p).checks[1].failed
    h.wait_for(function() return status(p).checks[1].failed > failed + 4 end)
    assert.equal("try\n", done(p))
    assert.equal("resting", status(p).remedies[1].state)
  end)
end)

describe("liveness", function()
  local CHECK = [[{ name = "alive", role = "liveness", process = "main", interval = 0.5, timeout = 0.5, fast_interval = 0.1, down_interval = 0.1, failures = 2, check = function()
    return not fs.stat(dir .. "/dead"), "dead"
  end }]]

  it("without a remedy of its own restarts the process", function()
    local p = run("", { checks = CHECK })
    h.write(p.folder .. "/dead", "")
    p:wait_event("restart_initiated")
    os.remove(p.folder .. "/dead")
    p:wait_event("recovery_completed", { where = function(e) return e.details.remedy == "restart_alive" end })
    assert.equal("restart_alive", status(p).remedies[1].name)
  end)

  it("asks for no remedy because of what a process did that is gone", function()
    local p = run([[{ name = "mine", check = "slow", cooldown = "1s", steps = { { name = "look", run = note "look" } } }]], { checks = [[
      { name = "slow", role = "liveness", process = "main", interval = 0.5, timeout = 0.5, initial_delay = 2, failures = 1, check = function()
        if fs.stat(dir .. "/dead") then return false, "dead" end
        return true
      end }]] })
    h.write(p.folder .. "/dead", "")
    p:wait_event("remediation_completed")
    h.native.kill(status(p).processes[1].pid, 9)
    p:wait_event("process_exited")
    os.remove(p.folder .. "/dead")
    p:wait_event("health_check_passed", { where = function(e) return e.details.check == "slow" end })
    assert.equal(1, #p:events("remediation_started"))
    p:wait_event("recovery_completed", { where = function(e) return e.details.remedy == "mine" end })
  end)

  it("may have hundreds of checks", function()
    local checks = {}
    for i = 1, 400 do checks[i] = ("{ name = 'c%d', role = 'liveness', interval = 60, kind = 'file', params = { path = '/' } }"):format(i) end
    assert.equal(400, #status(run("", { checks = table.concat(checks, ", ") })).remedies)
  end)

  it("with a remedy of its own is left to that; mode simple restarts nothing", function()
    local p = run([[{ name = "mine", check = "alive", steps = { { name = "revive", run = function() fs.remove(dir .. "/dead") end } } }]], { checks = CHECK })
    h.write(p.folder .. "/dead", "")
    p:wait_event("recovery_completed")
    assert.equal(0, #p:events("restart_initiated"))
    local simple = run("", { checks = CHECK, args = { "--mode", "simple" } })
    h.write(simple.folder .. "/dead", "")
    local step = simple:wait_event("remediation_step").details
    assert.same({ "restart", "skipped" }, { step.step, step.outcome })
    assert.equal("RUNNING", status(simple).state)
    assert.equal(0, #simple:events("process_exited"))
  end)
end)

describe("maintenance", function()
  local LADDER = [[{ name = "ladder", check = "thing", steps = { ]] .. HEALS .. " } }"

  it("holds remedies, not checks; readiness stays", function()
    local p = run(LADDER)
    local code, out = h.ask(p, "maintenance", "on")
    assert.equal(0, code)
    assert.truthy(out:find("maintenance is on", 1, true))
    bad(p)
    p:wait_event("health_check_failed")
    local failed = status(p).checks[1].failed
    h.wait_for(function() return status(p).checks[1].failed > failed + 4 end)
    local seen = status(p)
    assert.is_true(seen.maintenance)
    assert.is_true(seen.ready)
    assert.equal(cjson.null, seen.maintenance_until)
    assert.equal(0, #p:events("remediation_started"))
    local _, text = h.ask(p, "status")
    assert.truthy(text:find("in maintenance", 1, true))
    local _, why = h.ask(p, "why")
    assert.truthy(why:find("in maintenance", 1, true))
    assert.equal(0, (h.ask(p, "maintenance", "off")))
    p:wait_event("recovery_completed")
    local on = {}
    for i, e in ipairs(p:events("maintenance")) do on[i] = e.details.on end
    assert.same({ true, false }, on)
    local audit = p:events("audit")[1].details
    assert.equal("maintenance", audit.op)
    assert.is_number(audit.uid)
  end)

  it("ends by itself, and an operator may act in it", function()
    local p = run(LADDER)
    assert.equal(0, (h.ask(p, "maintenance", "on", "for", "600")))
    assert.is_string(status(p).maintenance_until)
    bad(p)
    p:wait_event("failure_detected")
    local code, out = h.ask(p, "remediate", "ladder")
    assert.equal(0, code)
    assert.truthy(out:find("ladder: healed", 1, true))
    assert.is_true(status(p).maintenance)
    assert.equal(0, (h.ask(p, "maintenance", "on", "for", "200ms")))
    p:wait_event("maintenance", { where = function(e) return not e.details.on end })
    assert.equal(64, (h.ask(p, "maintenance", "on", "for", "ever")))
  end)
end)

describe("by hand", function()
  local REMEDIES = [[{ name = "one", steps = { { name = "a", run = note "a" }, { name = "both", run = note "b" } }, escalate = { { kind = "fail" } } },
    { name = "two", steps = { { name = "both", run = note "c" }, { name = "refuses", run = function() return false, "not today" end } } }]]

  it("a remedy, a step, a step of one remedy; what is wrong is refused", function()
    local p = run(REMEDIES)
    assert.equal(0, (h.ask(p, "remediate", "one")))
    assert.equal("a\nb\n", done(p))
    assert.equal(0, (h.ask(p, "remediate", "two/both")))
    assert.equal(0, (h.ask(p, "remediate", "a")))
    assert.equal("a\nb\nc\na\n", done(p))
    local code, out, err = h.ask(p, "remediate", "both")
    assert.equal(1, code)
    assert.truthy(((out or "") .. (err or "")):find("several remedies", 1, true))
    assert.equal(1, (h.ask(p, "remediate", "none")))
    assert.equal(1, (h.ask(p, "remediate", "refuses")))
    assert.equal("RUNNING", status(p).state)
    assert.equal("operator", status(p).remediations[1].trigger)
    local events = p:events("audit")
    assert.equal("one", events[1].details.args.action)
  end)

  it("what a step says tells no secret", function()
    local p = run([[{ name = "leaky", steps = { { name = "say", kind = "command", params = { command = { "sh", "-c", "echo it is pw-secret-9; exit 1" } } },
      { name = "fn", run = function() return nil, "it is pw-secret-9" end } } }]],
      { env = { CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:pw-secret-9@127.0.0.1/db" } })
    local code, out, err = h.ask(p, "remediate", "leaky")
    assert.equal(1, code)
    assert.truthy((out .. err):find("it is ***", 1, true), out .. err)
    local _, report = h.ask(p, "report")
    for _, text in ipairs { out, err, report, p.out, p.err, (select(2, h.ask(p, "why"))), (select(2, h.ask(p, "events"))) } do
      assert.is_nil(text:find("pw-secret-9", 1, true))
    end
  end)

  it("a dry run changes nothing", function()
    local dir = h.tempdir()
    h.write(dir .. "/old.tmp", "x")
    h.sh("touch -d '2 hours ago' " .. dir .. "/old.tmp")
    local p = run(([[{ name = "all", steps = { { name = "a", run = note "a" },
      { kind = "remove_temporary", params = { path = %q, older_than_s = 60 } }, { kind = "restart" }, { kind = "fail" } } }]]):format(dir))
    local code, out = h.ask(p, "remediate", "all", "--dry-run")
    assert.equal(0, code)
    assert.truthy(out:find("dry run", 1, true))
    assert.truthy(out:find('"would_remove": 1', 1, true))
    assert.equal("", done(p))
    assert.is_true(h.exists(dir .. "/old.tmp"))
    assert.equal(0, #p:events("process_exited"))
    assert.is_true(status(p).remediations[1].dry_run)
    assert.equal("idle", status(p).remedies[1].state)
  end)

  it("the failure of the container can be asked for; held, it can be started again", function()
    local p = run([[{ name = "end", steps = { { kind = "fail" } } }]], { env = { CONTAINER_ON_FAILURE = "hold" } })
    h.ask(p, "remediate", "end")
    h.wait_for(function() return status(p).state == "FAILED" end)
    assert.truthy(select(2, h.ask(p, "why")):find("remedy end has ended it, as an operator asked", 1, true))
    assert.equal(1, (h.ask(p, "remediate", "end")))
    assert.equal(0, (h.ask(p, "start")))
    assert.equal("RUNNING", status(p).state)
  end)
end)

describe("a rule with dry_run", function()
  it("tells what it would do", function()
    local p = run([[{ name = "ladder", check = "thing", dry_run = true, steps = { { name = "a", run = note "a" } }, escalate = { { kind = "fail" } } }]])
    bad(p)
    local e = p:wait_event("remediation_completed")
    assert.equal("dry_run", e.details.result)
    assert.same({ "a", "fail" }, { e.details.steps[1].name, e.details.steps[2].name })
    assert.equal("", done(p))
    assert.equal("RUNNING", status(p).state)
  end)
end)

describe("the disk ladder", function()
  it("removes declared files alone, by age and pattern, and follows no link", function()
    local work, other = h.tempdir(), h.tempdir()
    h.sh(("mkdir %s/sub; touch %s/a.tmp %s/sub/b.tmp %s/keep.csv %s/new.tmp %s/precious.tmp; ln -s %s %s/link; ln -s %s/precious.tmp %s/linked.tmp"):format(
      work, work, work, work, work, other, other, work, other, work))
    h.sh(("touch -d '2 hours ago' %s/a.tmp %s/sub/b.tmp %s/keep.csv %s/precious.tmp; yes | head -c 2000000 > %s/app.log"):format(work, work, work, other, work))
    local p = run(([[{ name = "disk", check = "full", failures = 1, steps = {
        { name = "temporary_files", kind = "remove_temporary", params = { path = %q, pattern = "*.tmp", older_than_s = 3600 } },
        { kind = "rotate_logs", params = { path = %q, pattern = "*.log", max_mb = 1 } } } }]]):format(work, work),
      { checks = ([[{ name = "full", interval = 0.5, timeout = 0.5, fast_interval = 0.1, down_interval = 0.1, check = function()
          return fs.stat(%q) ~= nil, "full"
        end }]]):format(work .. "/app.log.1") })
    p:wait_event("recovery_completed")
    assert.is_false(h.exists(work .. "/a.tmp"))
    assert.is_false(h.exists(work .. "/sub/b.tmp"))
    for _, path in ipairs { work .. "/keep.csv", work .. "/new.tmp", work .. "/linked.tmp", other .. "/precious.tmp", work .. "/app.log.1" } do
      assert.is_true(h.exists(path), path)
    end
    local steps = p:events("remediation_completed")[1].details.steps
    assert.truthy(steps[1].detail:find('"removed": 2', 1, true))
  end)
end)

describe("a stop", function()
  it("ends a step that runs at once", function()
    local p = run([[{ name = "ladder", check = "thing", steps = { { kind = "command", timeout = 600, params = { command = { "sleep", "1000" } } } } }]])
    bad(p)
    p:wait_event("remediation_started")
    h.wait_for(function() return #p:children() > 2 end)
    local held = status(p).checks[1].held_until
    assert.truthy(held ~= cjson.null and held > p:events("remediation_started")[1].timestamp) -- while the remedy is at work
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    assert.equal("cancelled", p:events("remediation_completed")[1].details.result)
    assert.is_true(p:events("shutdown_completed")[1].duration_ms < 2000)
    local report = cjson.decode(h.read(p.dir .. "/logs/some_lifecycle_metrics.json"))
    assert.equal("cancelled", report.remediations[1].result)
    assert.equal("ladder", report.remedies[1].name)
  end)
end)
