-- Hooks: who is called when, in which order, and what comes of what they choose (docs/flow-file.md, Hooks).
local h = require "harness"
local reloading = require "reloading"

local function flow(text)
  local dir = h.tempdir()
  h.write(dir .. "/hooked.lua", "local function say(about, ...) log.info(about.hook, about) return ... end\n" .. text)
  return { "--flows", dir, "--flow-name", "hooked" }
end

local function run(text, env, args)
  local all = { "run", table.unpack(flow(text)) }
  for _, a in ipairs(args or {}) do all[#all + 1] = a end
  local e = { CONTAINER_RESTART_DELAY_SECONDS = "20ms" }
  for k, v in pairs(env or {}) do e["CONTAINER_" .. k] = v end
  return h.spawn { args = all, env = e }
end

-- The tables that hooks of that point were called with, in order.
local function calls(p, point)
  local list = {}
  for _, e in ipairs(p:events "message") do
    if not point or e.details.hook == point then list[#list + 1] = e.details end
  end
  return list
end

local function names(list)
  local out = {}
  for i, d in ipairs(list) do out[i] = d.hook .. " " .. d.name end
  return table.concat(out, "; ")
end

describe("hooks", function()
  it("are called in their order, which before and after make, those of policies too", function()
    local p = run [[
      hooks.add("on_stop", { name = "last", after = { "middle", "first" }, run = say })
      hooks.add("on_start", say)
      return { processes = { main = { "sleep", "1000" } }, hooks = {
        on_start = { name = "own", run = say }, on_running = say, on_drain = say,
        on_stop = { { name = "middle", run = say }, { name = "first", run = say, before = "middle" } } } }]]
    p:wait_event "startup_completed"
    p:kill "TERM"
    assert.equal(0, (p:wait()))
    assert.equal("on_start own; on_start on_start_2; on_running on_running_1; on_drain on_drain_1; " ..
      "on_stop first; on_stop middle; on_stop last", names(calls(p)))
    local drain = calls(p, "on_drain")[1]
    assert.equal("signal", drain.cause)
    assert.is_true(drain.seconds_left > 10 and drain.seconds_left < 25)
    assert.same({ "drain", "skip" }, drain.choices)
  end)

  it("that are wrong are told by tend check, all of them", function()
    local code, out = h.run { args = { "check", table.unpack(flow [[
      return { processes = { main = { "sleep", "1" } }, hooks = {
        on_exit = { { name = "a", run = say, after = "b" }, { name = "b", run = say, after = "a" } },
        on_stop = { { name = "first", run = say }, { name = "x", run = say, before = "frist" } },
        on_drain = { { name = "twice", run = say }, { name = "twice", run = say } },
        on_start = { timeout = 3 }, on_exits = say, on_running = 7 } }]]) }, env = { CONTAINER_ENVIRONMENT = "test" } }
    assert.equal(78, code)
    for _, part in ipairs {
      "hooks.on_exit: ", "before and after go round in a circle", 'hooks.on_stop[2].before: value "frist"', 'did you mean "first"?',
      "hooks.on_drain[2].name", "hooks.on_start.run", "on_exits", 'hooks.on_running: value "7"', "hooked.lua:4",
    } do assert.is_true(out:find(part, 1, true) ~= nil, part .. "\n" .. out) end
    code, out = h.run { args = { "check", table.unpack(flow 'hooks.add("on_exits", say) return {}') }, env = { CONTAINER_ENVIRONMENT = "test" } }
    assert.equal(78, code)
    assert.matches('hooked.lua:2: hooks.add: there is no point "on_exits"', out)
    code, out = h.run { args = { "check", table.unpack(flow [[
      hooks.add("on_exit", { name = "late", after = "early", run = say })
      return { processes = { main = { "sleep", "1" } }, hooks = { on_exit = { name = "early", run = say } } }]]) },
      env = { CONTAINER_ENVIRONMENT = "test" } }
    assert.equal(0, code, out)
    assert.matches("hooks:\n  on_exit: early, late\n", out)
  end)

  describe("on_exit", function()
    it("says what would be done, and decides: restart at once, then a good end", function()
      local p = run([[
        return { mode = "server", processes = { main = { "sh", "-c", "exit 3" } }, hooks = { on_exit = function(about)
          if about.restarts == 2 then return say(about, "stop", "enough") end
          return say(about, { action = "restart", delay = 0.01, reason = "quick" })
        end } }]], { RESTART_DELAY_SECONDS = "60" })
      assert.equal(3, (p:wait()))
      local list = calls(p, "on_exit")
      assert.equal(3, #list)
      assert.same({ "restart", "stop", "restart_all", "fail" }, list[1].choices)
      assert.same({ "main", 3, "exit", 60, 0 }, { list[1].process, list[1].exit_code, list[1].reason, list[1].delay, list[1].restarts })
      assert.equal("workload", p:events("shutdown_completed")[1].details.exit_source)
      for i, e in ipairs(p:events "restart_initiated") do assert.same({ 0.01, i }, { e.details.delay_seconds, e.details.attempt }) end
      local decided = p:events "hook_decided"
      assert.same({ hook = "on_exit", name = "on_exit_1", decision = "stop", reason = "enough" }, decided[3].details)
    end)

    it("may fail what would be restarted, and restart what would have ended well", function()
      local p = run [[return { mode = "server", processes = { main = { "sh", "-c", "exit 3" } }, hooks = { on_exit = function() return "fail" end } }]]
      assert.equal(3, (p:wait()))
      assert.equal(0, #p:events "restart_initiated")
      assert.is_true(p:events("failure_detected")[1].details.final)
      p = run [[return { mode = "single", processes = { main = { "sh", "-c", "exit 0" } }, hooks = { on_exit = function(about)
        return about.restarts == 0 and { action = "restart", delay = 0 } or nil end } }]]
      assert.equal(0, (p:wait()))
      assert.equal(1, #p:events "restart_initiated")
    end)

    it("changes nothing where it raises, is late, or says what is no choice", function()
      for what, body in pairs {
        ["oops"] = "error 'oops'",
        ['it returned "restat", expected nil or one of "restart"'] = "return 'restat'",
        ["it returned something else"] = "return 7",
        ["time limit"] = "timer.sleep(60)",
      } do
        local p = run(([[return { mode = "server", processes = { main = { "sh", "-c", "exit 3" } },
          hooks = { on_exit = { timeout = 0.2, run = function() %s end } } }]]):format(body), { MAX_RESTART_ATTEMPTS = "1" })
        assert.equal(3, (p:wait()))
        assert.equal(1, #p:events "restart_initiated")
        assert.equal(0, #p:events "hook_decided")
        local told = p:events "script_error"
        assert.equal(2, #told)
        assert.is_true(told[1].message:find(what, 1, true) ~= nil, told[1].message)
        assert.equal("on_exit", told[1].details.hook)
      end
    end)

    it("does not delay a stop", function()
      local p = run [[return { mode = "server", processes = { main = { "sh", "-c", "exit 3" } },
        hooks = { on_exit = { timeout = 60, run = function(about) say(about) timer.sleep(60) end } } }]]
      p:wait_event "message"
      local watch = h.stopwatch()
      p:kill "TERM"
      p:wait()
      assert.is_true(watch() < 5 * h.slow)
      assert.equal(1, #p:events "process_exited")
    end)
  end)

  it("on_start may refuse the start, which then fails as without a dependency", function()
    local p = run([[return { processes = { main = { "sleep", "1000" } }, hooks = { on_start = function() return "fail", "not today" end } }]],
      { RESTART_POLICY = "no" })
    assert.equal(69, (p:wait()))
    assert.equal("not today", p:events("hook_decided")[1].details.reason)
    assert.equal(0, #p:events "process_started")
  end)

  it("on_drain may skip the drain", function()
    local p = run([[return { processes = { main = { "sleep", "1000" } }, hooks = { on_drain = function() return "skip", "nobody is connected" end } }]],
      { SHUTDOWN_DRAIN_SECONDS = "15" })
    p:wait_event "startup_completed"
    local watch = h.stopwatch()
    p:kill "TERM"
    assert.equal(0, (p:wait()))
    assert.is_true(watch() < 8 * h.slow)
  end)

  describe("on_unhealthy", function()
    local function with(choice)
      return ([[
        local n = 0
        return { processes = { main = { "sleep", "1000" } },
          checks = { { name = "c", interval = 0.1, failures = 2, check = function() n = n + 1 return n < 3 or n > 10, "bad" end } },
          remedies = { { name = "r", check = "c", cooldown = 0.01, steps = { { name = "s", run = function() return true end } } } },
          hooks = { on_unhealthy = function(about) return say(about, %s) end } }]]):format(choice)
    end

    it("lets the remedy begin, or keeps it back until the check was good", function()
      local p = run(with "nil")
      p:wait_event "remediation_started"
      local about = calls(p, "on_unhealthy")[1]
      assert.same({ "c", "monitor", "bad", 2, "remedy" }, { about.check, about.role, about.detail, about.failures, about.decision })
      assert.same({ "remedy", "ignore", "restart", "fail" }, about.choices)
      p:close()
      p = run(with "'ignore', 'known'")
      p:wait_event "recovery_completed"
      assert.equal(0, #p:events "remediation_started")
      assert.equal("ignore", p:events("hook_decided")[1].details.decision)
      assert.equal(1, #calls(p, "on_unhealthy"))
    end)

    it("restarts the process, or fails the container", function()
      local p = run(with "'restart'")
      p:wait_event "restart_initiated"
      assert.equal(0, #p:events "remediation_started")
      p:close()
      p = run(with "'fail'")
      assert.equal(1, (p:wait()))
      assert.equal(0, #p:events "remediation_started")
    end)
  end)
end)

describe("on_reload", function()
  it("of the new policies may refuse them, with a reason; else they are in force", function()
    local body = [[hooks = { on_reload = function(about) return %s end }, processes = { main = { "sleep", "1000" } }]]
    local r = reloading.start(body:format "nil")
    r:write(body:format "'refuse', 'not on a Friday'")
    local code, said = r:reload()
    assert.equal(1, code)
    assert.matches("not on a Friday", said, 1, true)
    assert.matches("not on a Friday", r.p:wait_event("policy_rejected").message, 1, true)
    r:write(body:format "log.info('asked', about)" .. ", summary = 'new'")
    assert.equal(0, (r:reload()))
    assert.same({ "accept", "refuse" }, r.p:wait_event("message").details.choices)
  end)
end)
