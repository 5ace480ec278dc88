-- The protocol of the control socket (docs/control.md), spoken by hand.
local h = require "harness"
local control = require "control"
local cjson = require "cjson"

local function run(script)
  local p = h.spawn { args = { "run", "--", "sh", "-c", script or "exec sleep 1000" } }
  p:wait_event "startup_completed"
  return p
end

local function by_name(list)
  local names = {}
  for _, op in ipairs(list) do names[op.name] = op end
  return names
end

describe("the control protocol", function()
  it("greets with its version, what it can and what this client may", function()
    local c = control.connect(run())
    local hello = c:ask("hello").value
    assert.equal(1, hello.protocol)
    assert.equal("default", hello.flow)
    assert.equal("operator", hello.right)
    assert.equal(262144, hello.limits.request_bytes)
    local can = {}
    for _, word in ipairs(hello.capabilities) do can[word] = true end
    assert.is_true(can.cancel and can.streams and can["read-only"] and can["script-commands"])
  end)

  it("tells a client of another version which one it speaks, and ends", function()
    local p = run()
    for _, op in ipairs { "hello", "status" } do
      local c = control.connect(p)
      c:send(op, nil, { v = 7 })
      local answer = c:closed()
      assert.equal(1, answer.id)
      assert.equal("version", answer.code)
      assert.equal(1, answer.protocol)
      assert.truthy(answer.error:find("speaks version 1 of the control protocol, the client version 7", 1, true))
    end
  end)

  it("answers several requests at once, each by its number, parts too", function()
    local p = run()
    local c = control.connect(p)
    local follow = c:send("events", { follow = true, last = 0 })
    local stop = c:send "stop"
    local status = c:send "status"
    assert.is_string(c:answer(status).value.state)
    assert.equal("done", c:answer(stop).value)
    local start = c:send "start"
    assert.equal("done", c:answer(start).value)
    local seen = {}
    for _, frame in ipairs(c.frames) do
      assert.equal(follow, frame.id)
      if frame.part then seen[frame.part.event.event] = true end
    end
    assert.is_true(seen.audit and seen.process_exited)
    assert.is_true(c:ask("cancel", { id = follow }).value.cancelled)
    assert.is_true(c:answer(follow).ok)
    assert.is_false(c:ask("cancel", { id = follow }).value.cancelled)
  end)

  it("ends the waiting for an outcome, not what was begun", function()
    local p = run "trap '' TERM; while :; do sleep 0.1; done"
    local c = control.connect(p)
    local stop = c:send "stop"
    p:wait_event "audit"
    assert.is_true(c:ask("cancel", { id = stop }).value.cancelled)
    local answer = c:answer(stop)
    assert.equal("cancelled", answer.code)
    assert.truthy(answer.error:find("goes on", 1, true))
    assert.equal("cancelled", p:wait_event("audit", { nth = 2 }).details.outcome)
    p:kill "QUIT"
  end)

  it("tells who asked for a change and what came of it", function()
    local p = run()
    local c = control.connect(p)
    assert.equal("arguments", c:ask("restart", { proces = "main" }).code)
    assert.equal("refused", c:ask("restart", { process = "mian" }).code)
    assert.is_true(c:ask("maintenance", { on = true, ["for"] = "10m" }).ok)
    assert.is_true(c:ask("remediate", { action = "none", dry_run = true }).ok == false) -- a dry run changes nothing
    local list = h.wait_for(function()
      local events = p:events "audit"
      return #events >= 4 and events
    end)
    assert.equal(4, #list)
    for i, outcome in ipairs { false, "refused", false, "done" } do
      local details = list[i].details
      assert.equal(outcome or nil, details.outcome)
      assert.is_number(details.uid)
      assert.is_number(details.pid)
      assert.equal(i <= 2 and "restart" or "maintenance", details.op)
    end
    assert.truthy(list[2].details.error:find('did you mean "main"', 1, true))
    assert.equal("10m", list[4].details.args["for"])
    assert.is_number(list[4].duration_ms)
  end)

  it("lets a client give up its right to change, for good", function()
    local p = run()
    local c = control.connect(p)
    assert.equal("read-only", c:ask("hello", { read_only = true }).value.right)
    assert.equal("read-only", c:ask("hello", { read_only = false }).value.right)
    for _, op in ipairs { "stop", "start", "restart", "shutdown" } do
      local answer = c:ask(op)
      assert.equal("denied", answer.code)
      assert.truthy(answer.error:find("may only look", 1, true))
    end
    for op, args in pairs { maintenance = { on = true }, remediate = { action = "x" }, ["log-level"] = { level = "DEBUG" }, ["check-now"] = { name = "x" } } do
      assert.equal("denied", c:ask(op, args).code, op)
    end
    for _, op in ipairs { "status", "health", "why", "metrics", "report", "logs", "events", "help", "log-level" } do
      assert.is_true(c:ask(op).ok, op)
    end
    assert.equal("denied", p:wait_event("audit").details.outcome)
    assert.equal("WARNING", p:events("audit")[1].level)
    local code, _, err = h.ask(p, "stop", "--read-only")
    assert.equal(1, code)
    assert.equal("tend stop: stop changes something, and this client may only look\n", err)
    assert.equal(0, (h.ask(p, "status", "--read-only")))
    assert.equal(0, (h.ask(p, "stop")))
  end)

  it("lets the members of a group look, where one is named, and nobody else", function()
    if not h.root then return pending("needs root, to become another user") end
    local p = h.spawn { args = { "run", "--", "sleep", "1000" }, env = { CONTAINER_CONTROL_GROUP = "65533" } }
    p:wait_event "startup_completed"
    h.sh("chmod 711 " .. h.quote(p.dir))
    local function ask(gid, ...)
      return h.run { args = { ... }, bare = true, uid = 65534, gid = gid, env = { CONTAINER_STATE_DIR = p.env.CONTAINER_STATE_DIR } }
    end
    local _, code, out, err
    code, out, err = ask(65533, "status", "--json")
    assert.equal(0, code, err)
    assert.equal("RUNNING", cjson.decode(out).state)
    code, _, err = ask(65533, "stop")
    assert.equal(1, code)
    assert.equal("tend stop: stop changes something, and this client may only look\n", err)
    assert.equal("denied", p:wait_event("audit").details.outcome)
    assert.equal(65534, p:events("audit")[1].details.uid)
    code, out, err = ask(65533, "repl", "-e", "1")
    assert.is_true(code ~= 0)
    assert.truthy((out .. err):find("is for the same user and root", 1, true), out .. err)
    code, _, err = ask(65532, "status")
    assert.equal(69, code)
    assert.truthy(err:find("no engine is reachable", 1, true), err)
    assert.equal("operator", control.connect(p):ask("hello").value.right)
    local bad = h.spawn { args = { "run", "--", "sleep", "1000" }, env = { CONTAINER_CONTROL_GROUP = "no-such-group" } }
    assert.truthy(bad:wait_event("setting", { where = function(e) return e.message:find "CONTROL_GROUP" end }).message:find('group "no-such-group" is not in /etc/group', 1, true))
    assert.equal(0, (h.ask(bad, "status")))
  end)

  it("checks arguments and says what is wrong with them", function()
    local c = control.connect(run())
    for _, case in ipairs {
      { "events", { last = "x" }, 'argument "last": expected a whole number from 0 to 1000, got "x"' },
      { "events", { last = 2000 }, "from 0 to 1000, got 2000" },
      { "events", { folow = true }, 'no argument "folow"; did you mean "follow"?' },
      { "events", { level = "LOUD" }, "one of DEBUG|INFO|WARNING|ERROR|CRITICAL" },
      { "check-now", {}, 'the argument "name" is missing' },
      { "maintenance", { on = "yes" }, "expected true or false" },
      { "maintenance", { on = true, ["for"] = "soon" }, "expected a duration" },
    } do
      local answer = c:ask(case[1], case[2])
      assert.equal("arguments", answer.code)
      assert.truthy(answer.error:find(case[3], 1, true), answer.error)
    end
    local answer = c:ask "stats"
    assert.equal("unknown", answer.code)
    assert.truthy(answer.error:find('did you mean "status"?', 1, true))
  end)

  it("tells of the same operations that tend help shows, with their arguments", function()
    local p = run()
    local ops = by_name(control.connect(p):ask("help").value)
    local _, help = h.run { args = { "help" } }
    for name, op in pairs(ops) do
      assert.is_true(op.right == "operator" or op.right == "read-only")
      local _, text = h.run { args = { "help", name } }
      for _, arg in ipairs(op.args) do
        assert.is_string(arg.doc)
        if help:find("\n  " .. name .. " ", 1, true) and arg.place ~= "protocol" then
          local shown = arg.place == "option" and (arg.option or "--" .. arg.name:gsub("_", "-")) or arg.place == "keyword" and arg.name
          assert.truthy(text:find("\n  " .. (shown or arg.value or arg.choices), 1, true), name .. " " .. arg.name)
        end
      end
    end
    for _, name in ipairs { "status", "health", "why", "metrics", "report", "events", "logs", "start", "stop", "restart", "shutdown", "remediate",
      "maintenance", "check-now", "log-level", "hello", "help", "cancel" } do assert.is_table(ops[name], name) end
  end)

  it("changes the level of the log while it runs", function()
    local p = h.spawn { args = { "run", "--log-level", "WARNING", "--", "sleep", "1000" } }
    local c = control.connect(p)
    assert.equal("WARNING", c:ask("log-level").value.level)
    h.wait_for(function() return c:ask("status").value.state == "RUNNING" end)
    assert.equal(0, #p:events "audit")
    assert.same({ level = "INFO", before = "WARNING" }, c:ask("log-level", { level = "info" }).value)
    assert.equal("done", p:wait_event("audit").details.outcome)
    assert.equal("INFO", select(2, h.ask(p, "log-level")):match "%u+")
    assert.equal("ERROR, was INFO\n", select(2, h.ask(p, "log-level", "ERROR")))
    p:wait_event("audit", { where = function(e) return e.details.args.level == "ERROR" end })
    local n = #p.err
    assert.equal(0, (h.ask(p, "restart")))
    assert.equal(n, #p.err)
    local code, _, err = h.ask(p, "log-level", "LOUD")
    assert.equal(64, code)
    assert.truthy(err:find("expected DEBUG, INFO, WARNING, ERROR or CRITICAL, not LOUD", 1, true))
  end)

  it("is spoken by the line of docs/control.md for socat", function()
    if h.sh("command -v socat") == "" then return pending("socat is not there") end
    local p = run()
    local line = h.read("docs/control.md"):match "\n(printf [^\n]+)\n"
    local out = h.sh("CONTAINER_STATE_DIR=" .. p.env.CONTAINER_STATE_DIR .. "; " .. line:gsub("/shop/", "/default/"))
    assert.is_true(cjson.decode(out).ok)
  end)

  it("waits with the answer for a client that has closed its half", function()
    local p = run()
    if h.sh("command -v socat") == "" then return pending("socat is not there") end
    local request = cjson.encode { v = 1, id = 1, op = "restart" }
    local file = h.write(h.tempdir() .. "/request", control.frame(request))
    local out = h.sh(("socat -t10 - UNIX-CONNECT:%s <%s"):format(control.path(p), file))
    assert.same({ id = 1, ok = true, value = "done" }, cjson.decode(out:sub(5)))
  end)
end)
