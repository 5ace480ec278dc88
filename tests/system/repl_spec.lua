-- tend repl: chunks given on the command line, in files and by a pipe, and without an engine.
local h = require "harness"
local cjson = require "cjson"
local prompting = require "prompting"
local repl, eval, pid_of, dir = prompting.repl, prompting.eval, prompting.pid_of, prompting.dir
local engine
setup(function() engine = prompting.start() end)

describe("tend repl -e", function()
  it("prints what an expression gives, as Lua", function()
    assert.equal("2", eval "1 + 1")
    assert.equal('{ 1, 2.5, "a\\n", b = { c = 1 }, [true] = false }', eval '{ 1, 2.5, "a\\n", b = { c = 1 }, [true] = false }')
    assert.equal("1\nnil\n3", eval "1, nil, 3")
    assert.equal("", eval "local x = 1")
    assert.equal("{ a = { b = <cycle: _> }, c = { <cycle: _.c> } }", eval "local t = { a = {}, c = {} } t.a.b = t t.c[1] = t.c return t")
    assert.equal("said\t1", eval 'print("said", 1)')
    assert.matches("^<function probe.tcp%(params%)>$", eval "probe.tcp")
    assert.matches('^"\\x1b%[2J"$', eval '"\\27[2J"')
    assert.equal('{ 7, "\\xff" }', eval 'return { require("counter").n, "\\xff" }')
  end)

  it("cuts what is long and says how to see the rest", function()
    local out = eval "local t = {} for i = 1, 1000 do t[i] = i end return t"
    assert.matches("%-%- 950 more", out)
    assert.matches("show%(_%) prints the whole", out)
    assert.matches('x"… %-%- 5000 bytes\n%-%- cut', eval '("x"):rep(5000)')
    local code, all = repl("-e", "local t = {} for i = 1, 1000 do t[i] = i end return t", "-e", "show(_)")
    assert.equal(0, code)
    assert.matches("\n  1000,\n}", all)
  end)

  it("waits for what waits", function()
    assert.matches('reason = "refused"', eval 'probe.tcp { host = "127.0.0.1", port = 1 }')
    assert.matches('code = 3', eval 'process.run { "sh", "-c", "exit 3" }')
    assert.equal("true", eval "local t = clock.monotonic() timer.sleep(0.05) return clock.monotonic() - t >= 0.05")
    assert.matches("ready to sell", eval "logs()")
  end)

  it("shows and steers what runs, by the same door as the commands", function()
    assert.equal('"up"', eval "processes.worker.state")
    assert.equal('"RUNNING"', eval "status().state")
    assert.equal("true", eval "health().healthy")
    assert.matches('result = "ok"', eval "checks.till:run()")
    local before = pid_of "worker"
    assert.equal('"done"', eval 'restart "worker"')
    assert.not_equal(before, pid_of "worker")
    local code, _, err = repl("-e", 'assert(restart "wroker")')
    assert.equal(1, code)
    assert.matches('did you mean "worker"', err)
    code, _, err = repl("-e", "processes.wroker")
    assert.equal(1, code)
    assert.matches("there are: main, worker", err)
    h.wait_for(function()
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "restart" and e.details.outcome == "done" then return true end
      end
    end, 5, "the audit of the restart")
  end)

  it("ends with 1 where a chunk fails, 64 where it is used wrongly, 69 without an engine", function()
    for chunk, expected in pairs {
      ["for"] = "expected near <eof>", ["x y"] = "syntax error", ['error "no"'] = "%-e:1: no", ["foo()"] = 'variable "foo" is not defined',
      ["local function f() error('deep') end f()"] = "%-e:1: in upvalue 'f'\n?", ['fs.read "/nonexistent"'] = "",
      ["error { message = 'told' }"] = "told",
    } do
      local code, out, err = repl("-e", chunk)
      assert.equal(1, code, chunk)
      if expected ~= "" and not chunk:find("deep") then assert.matches(expected, err) end
      if chunk:find "nonexistent" then assert.matches("<error enoent: ", out) end
    end
    assert.equal(64, (repl("--raed-only")))
    assert.equal(64, (repl("-e")))
    assert.equal(64, (repl("a", "b")))
    assert.equal(64, (repl("/nonexistent/file")))
    assert.equal(69, (h.run { args = { "repl", "-e", "1" } }))
    local code, out = repl("-e", "error 'first'", "-e", "print 'second'")
    assert.same({ 1, "" }, { code, out })
  end)

  it("speaks JSON", function()
    local code, out, err = repl("--json", "-e", "health()", "-e", "1, 2, { print }", "-e", "print 'x'", "-e", "local t = {} t.t = t return t")
    assert.equal(0, code, err)
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = cjson.decode(line) end
    assert.equal("RUNNING", lines[1].state)
    assert.same({ 1, 2 }, { lines[2][1], lines[2][2] })
    assert.same({ t = "<cycle>" }, lines[3])
    assert.equal("x\n", err)
    code, out = repl("--json", "-e", "error 'x'")
    assert.equal(1, code)
    assert.matches("-e:1: x", cjson.decode(out).error, 1, true)
  end)

  it("shows no secret", function()
    for _, chunk in ipairs { 'settings.get "DATABASE_SHOP_CONNECTION_STRING"', 'print(settings.get "DATABASE_SHOP_CONNECTION_STRING")',
      'error(settings.get "DATABASE_SHOP_CONNECTION_STRING")', '{ x = "t0p-secret-word" }' } do
      local _, out, err = repl("-e", chunk)
      assert.is_nil((out .. err):find("t0p-secret-word", 1, true), chunk)
      assert.matches("***", out .. err, 1, true)
    end
    assert.is_nil((engine.out .. engine.err):find("t0p-secret-word", 1, true))
  end)

  it("has every chunk audited, with who and when", function()
    eval "'marked ' .. 4711"
    local asked, done
    h.wait_for(function()
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "eval" and e.details.args.code:find("4711", 1, true) then
          asked = asked or not e.details.outcome and e
          done = done or e.details.outcome and e
        end
      end
      return done
    end, 5, "the audit of the chunk")
    assert.equal(tonumber((h.sh "id -u")), asked.details.uid)
    assert.is_true(asked.details.pid > 0)
    assert.matches("^%d+%-%d+%-%d+T", asked.timestamp)
    assert.equal("done", done.details.outcome)
  end)
end)

describe("a file, and standard input", function()
  it("is one chunk, its results printed", function()
    local file = h.write(dir .. "/chunk.lua", "#!/usr/bin/env tend-repl\nlocal n = 0\nfor i = 1, 10 do\n  n = n + i\nend\nreturn n\n")
    assert.equal(0, (repl(file)))
    assert.equal("55\n", select(2, repl(file)))
    h.write(file, "\n\nerror 'here'\n")
    local code, _, err = repl(file)
    assert.equal(1, code)
    assert.matches("chunk.lua:3: here", err, 1, true)
    h.write(file, "local x = ")
    code, _, err = repl(file)
    assert.equal(1, code)
    assert.matches("chunk.lua:1:", err, 1, true)
  end)

  it("is read line by line from a pipe, and stops at what fails", function()
    local function piped(text)
      local p = prompting.spawn { stdin = text }
      return p:wait(), p.out, p.err
    end
    local code, out = piped "x = 2\nfor i = 1, 2 do\n  print(i * x)\nend\nx\n"
    assert.same({ 0, "2\n4\n2\n" }, { code, out })
    code, out = piped "1\nerror 'no'\n2\n"
    assert.same({ 1, "1\n" }, { code, out })
    assert.equal(1, (piped "for i = 1, 2 do"))
  end)
end)

describe("tend repl --offline", function()
  local function offline(...)
    return h.run { args = { "repl", "--offline", ... } }
  end

  it("has all primitives and no processes", function()
    local code, out, err = offline("-e", 'process.run { "echo", "hi" }.output', "-e", 'probe.tcp { host = "127.0.0.1", port = 1 }.reason')
    assert.same({ 0, '"hi\\n"\n"refused"\n', "" }, { code, out, err })
    code, out, err = offline("-e", "status()")
    assert.equal(1, code)
    assert.matches("offline", out .. err, 1, true)
    assert.equal(1, (offline("--read-only", "-e", 'process.run { "true" }')))
  end)

  it("knows a flow's settings", function()
    local code, out, err = offline("--flow-name", "shop", "--flows", dir, "-e", 'settings.get "EXECUTION_MODE"')
    assert.same({ 0, '"server"\n' }, { code, out }, err)
  end)

  it("leaves nothing behind, whatever ends the client", function()
    local p = h.spawn { args = { "repl", "--offline" }, stdin = true }
    p:send "process.run { 'sleep', '1000' }\n"
    local pids
    h.wait_for(function()
      pids = p:children()
      return #pids >= 3
    end, 5, "the sleep")
    p:kill "KILL"
    p:wait()
    h.wait_for(function()
      for _, pid in ipairs(pids) do
        if h.exists("/proc/" .. pid) and (h.stat(pid) or {}).state ~= "Z" then return false end
      end
      return true
    end, 5, "the end of the offline engine")
  end)
end)
