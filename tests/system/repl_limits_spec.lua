-- tend repl: chunks that never end, take all memory, are too long or too many, and policies that do.
local h = require "harness"
local prompting = require "prompting"
local repl, eval, pid_of, dir = prompting.repl, prompting.eval, prompting.pid_of, prompting.dir
local engine
setup(function() engine = prompting.start() end)

describe("a chunk", function()
  it("ends with its client", function()
    local p = prompting.spawn { args = { "-e", "while true do timer.sleep(0.01) end" } }
    local function outcome()
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "eval" and e.details.args.code == "while true do timer.sleep(0.01) end" then
          if e.details.outcome then return e.details.outcome end
          p.begun = true
        end
      end
    end
    h.wait_for(function() outcome() return p.begun end, 5, "the chunk")
    p:kill "KILL"
    assert.equal("cancelled", h.wait_for(outcome, 5, "the end of the chunk"))
  end)

  it("that never ends delays nothing", function()
    local busy = {}
    for i, chunk in ipairs { "while true do end", "while true do pcall(string.rep, 'x', 1000) end",
      "local t = {} for i = 1, 2e4 do t[i] = i * 79 % 211 end while true do table.sort(t, function(a, b) return a < b end) table.sort(t, function(a, b) return a > b end) end" } do
      busy[i] = prompting.spawn { args = { "-e", chunk } }
    end
    h.wait_for(function()
      local n = 0
      for _, e in ipairs(engine:events "audit") do
        if e.details.op == "eval" and not e.details.outcome and e.details.args.code:find("while true do", 1, true) then n = n + 1 end
      end
      return n >= 3
    end, 5, "the chunks")
    local worker, worst = pid_of "worker", 0
    for _ = 1, 5 do
      local from = require("native").now()
      assert.equal('"ok"', eval "checks.till:run().result")
      worst = math.max(worst, require("native").now() - from)
    end
    assert.is_true(worst < 5 * h.slow, worst)
    assert.equal('"done"', eval 'restart "worker"')
    assert.not_equal(worker, pid_of "worker")
    for _, p in ipairs(busy) do
      assert.is_false(p:ended())
      p:kill "INT"
      assert.equal(130, (p:wait()))
      assert.matches("cancelled", p.err)
    end
  end)

  it("is refused where it is too long, and prompts where there are too many", function()
    local file = h.write(dir .. "/long.lua", ("-"):rep(300 * 1024))
    assert.equal(64, (repl(file)))
    assert.equal(64, (repl(h.write(dir .. "/nul.lua", "return 1\0"))))
    assert.equal(64, (repl(dir)))
    local code, _, err = repl("-e", "return '" .. ("x"):rep(100 * 1024) .. "'")
    assert.equal(0, code, err)
    local open = {}
    for i = 1, 17 do
      open[i] = prompting.spawn { stdin = true }
    end
    h.wait_for(function()
      for _, p in ipairs(open) do
        if p:ended() then return true end
      end
    end, 5, "one too many")
    local refused = 0
    for _, p in ipairs(open) do
      p:close_stdin()
      if p:wait() == 1 then
        refused = refused + 1
        assert.matches("16 prompts are open already", p.err)
      end
    end
    assert.equal(1, refused)
    assert.equal("2", eval "1 + 1")
  end)

  it("is bounded in memory, and a slow reader makes it wait", function()
    local code, _, err = repl("-e", "local t = {} while true do t[#t + 1] = ('x'):rep(1e5) .. #t end")
    assert.equal(1, code)
    assert.matches("not enough memory", err)
    assert.equal("2", eval "1 + 1")
    local p = prompting.spawn { args = { "-e", "for i = 1, 20000 do print(i, ('y'):rep(100)) end return 'end'" }, held = true }
    assert.equal('"RUNNING"', eval "status().state")
    p:release()
    assert.equal(0, (p:wait()))
    assert.equal(20001, select(2, p.out:gsub("\n", "")))
    assert.matches("20000\t" .. ("y"):rep(100) .. '\n"end"\n$', p.out)
  end)
end)

describe("policies that take all there is", function()
  it("leave the prompt enough to look at them", function()
    local flows = h.tempdir()
    h.write(flows .. "/greedy.lua", [[
      local held = {}
      for i = 1, 50 do held[i] = ("x"):rep(1024 * 1024 - 100) .. i end
      for _ = 1, 20 do timer.every(0.01, function() while true do end end) end
    ]] .. "return { name = 'greedy', mode = 'server', processes = { main = { command = { 'sleep', '1000' } } } }")
    local p = h.spawn { args = { "run", "--flow-name", "greedy", "--flows", flows } }
    p:wait_event("startup_completed")
    local code, out, err = h.ask(p, "repl", "-e", "1 + 1", "-e", "processes.main.state")
    assert.equal("", err)
    assert.equal(0, code)
    assert.equal('2\n"up"\n', out)
  end)
end)
