-- tend repl: prompts that may only look or only try, and what is changed by hand.
local h = require "harness"
local prompting = require "prompting"
local repl, eval, pid_of, dir = prompting.repl, prompting.eval, prompting.pid_of, prompting.dir
setup(function() prompting.start() end)

describe("a read-only prompt", function()
  it("refuses every effect and shows the rest", function()
    local worker = pid_of "worker"
    local file = dir .. "/written"
    for _, chunk in ipairs { ('process.run { "touch", %q }'):format(file), ("fs.write_atomic(%q, 'x')"):format(file),
      ("fs.remove(%q)"):format(dir .. "/shop.lua"), 'restart "worker"', "processes.worker:restart()", "shutdown()", "maintenance(true)",
      'http.post("http://127.0.0.1:1/", "x")', ('probe.command { command = { "touch", %q } }'):format(file),
      "timer.after(0, function() end)", 'op("stop")', "pcall(dry, function() end) restart 'worker'", } do
      local code, out, err = repl("--read-only", "-e", chunk)
      assert.equal(1, code, chunk .. out .. err)
      assert.matches("read-only", out .. err, 1, true)
    end
    assert.falsy(h.exists(file))
    assert.equal(worker, pid_of "worker")
    local code, out = repl("--read-only", "-e", "processes.worker.state", "-e", 'probe.tcp { host = "127.0.0.1", port = 1 }.reason',
      "-e", ("#fs.read(%q) > 0"):format(dir .. "/shop.lua"), "-e", "health().status", "-e", "checks.till.status")
    assert.equal(0, code, out)
    assert.equal('"up"\n"refused"\ntrue\n"healthy"\n"healthy"\n', out)
  end)

  it("does not touch the policies' tables", function()
    repl("--read-only", "-e", 'require("counter").n = 99')
    assert.equal("7", eval 'require("counter").n')
  end)
end)

describe("a dry prompt", function()
  it("lists the effects and has none", function()
    local worker = pid_of "worker"
    local file = dir .. "/dry"
    local code, out = repl("--dry", "-e", ([[
      local r = process.run { "touch", %q }
      fs.append(%q, "x")
      if r.ok then restart "worker" end
      http.request { url = "http://127.0.0.1:1/", method = "DELETE" }
      probe.http { url = "http://127.0.0.1:1/" }
    ]]):format(file, file))
    assert.equal(0, code)
    assert.matches("would do: process.run touch " .. file, out, 1, true)
    assert.matches("would do: fs.append " .. file, out, 1, true)
    assert.matches("would do: restart", out, 1, true)
    assert.matches("would do: http.request DELETE", out, 1, true)
    assert.equal(4, select(2, out:gsub("would do", "")))
    assert.falsy(h.exists(file))
    assert.equal(worker, pid_of "worker")
  end)

  it("is there for one function too", function()
    assert.equal('{ "process.run rm x", "stop {\\"process\\": \\"worker\\"}" }', eval 'dry(function() process.run { "rm", "x" } stop "worker" end)')
    assert.equal('{ "process.run rm x", "then it would fail: dry:1: oh" }', eval [[dry 'process.run { "rm", "x" } error "oh"']])
    assert.equal('"up"', eval "processes.worker.state")
  end)
end)

describe("what is changed by hand", function()
  it("is taken over at once or refused whole, told by delta, and taken back", function()
    local worker = pid_of "worker"
    local code, out, err = repl("-e", "kept = { 1 }", "-e", 'set("CONTAINER_RESTART_DELAY_SECONDS", "4s")', "-e", "processes.worker:change { restart = { delay = 2 } }",
      "-e", "kept[1], settings.get 'RESTART_DELAY_SECONDS'", "-e", 'stop "worker"', "-e", "delta()")
    assert.equal(0, code, err)
    assert.equal(worker and [["done"
"done"
1
4.0
"done"
settings = {
  RESTART_DELAY_SECONDS = "4s", -- was 10
},
processes = {
  worker = {
    restart = { delay = 2 }, -- not in the file
  },
},
-- worker is stopped: start "worker" has it run again
]], out)
    for chunk, expected in pairs {
      ['set("RESTART_DELAY_SECONDS", "soon")'] = "expected a duration", ['set("NO_SUCH", 1)'] = "there is no setting",
      ['set("STATE_DIR", "/tmp")'] = "taken at the start only", ['set("DATABASE_SHOP_CONNECTION_STRING", "x")'] = "secret",
      ["checks.till:change { intervall = 1 }"] = 'did you mean \\"interval\\"', ["checks.till:change { interval = -1 }"] = "interval",
      ["checks.till:change(1)"] = "expected fields", ['checks.till:change { name = "x" }'] = "a name cannot be changed",
    } do
      local c, o, e = repl("-e", chunk)
      assert.equal(1, c, chunk)
      assert.matches(expected, o .. e, 1, true)
    end
    code, out = repl("-e", "undo()", "-e", 'start "worker"', "-e", "settings.get 'RESTART_DELAY_SECONDS'", "-e", "delta()")
    assert.same({ 0, '"done"\n"done"\n10.0\nnothing was changed by hand\n' }, { code, out })
    assert.equal(1, (repl("--read-only", "-e", 'set("RESTART_DELAY_SECONDS", 1)')))
    assert.equal("10.0", eval "settings.get 'RESTART_DELAY_SECONDS'")
  end)

  it("leaves a session its data, and says what is gone", function()
    finally(function() repl("-e", "undo()") end)
    local code, out, err = repl("-e", "small, big, f = { a = { 'x' } }, {}, function() end for i = 1, 1e5 do big[i] = i end",
      "-e", "for i = 1, 50 do _G['small' .. i] = i end", -- whether one goes hangs on itself, not on where a table's order has it
      "-e", 'set("RESTART_DELAY_SECONDS", 5)', "-e", "small.a[1], rawget(_G, 'big'), rawget(_G, 'f')",
      "-e", "for i = 1, 50 do assert(_G['small' .. i] == i) end", "-e", "undo()")
    assert.same({ 0, '"x"\nnil\nnil' }, { code, out:match '"x".*nil' }, err)
    assert.matches("the policies were loaded anew", err)
  end)

  it("is no difference any more when the file says it", function()
    eval "checks.till:change { interval = 30 }"
    assert.matches("interval = 30", eval "delta()")
    h.write(dir .. "/shop.lua", (prompting.flow:gsub("interval = 60", "interval = 30")))
    finally(function()
      h.write(dir .. "/shop.lua", prompting.flow)
      repl("-e", "reload()") -- now, and not in the middle of what comes next
    end)
    assert.is_string(eval "op 'reload'")
    assert.equal("nothing was changed by hand", eval "delta()")
  end)
end)
