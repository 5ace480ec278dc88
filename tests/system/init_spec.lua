-- The init part of the real program, as PID 1 and as an ordinary process: contract 4, what does not need the engine.
local h = require "harness"

local function sh(script, o)
  o = o or {}
  o.args = { "run", "--log-level", "INFO", "--", "sh", "-c", script }
  return o
end

-- init's first child is the engine; below a guard init is the first child itself
local function engine_of(p, pid1)
  local below = p:children()
  return below[pid1 and 1 or 2]
end

for _, pid1 in ipairs { false, true } do
  describe(pid1 and "as PID 1" or "as an ordinary process", function()
    it("passes exit codes and signals on", function()
      for script, code in pairs { ["exit 0"] = 0, ["exit 77"] = 77, ["kill -TERM $$"] = 143, ["kill -KILL $$"] = 137 } do
        local p = h.spawn(sh(script, { pid1 = pid1, env = { CONTAINER_RESTART_POLICY = "no" } }))
        assert.equal(code, (p:wait()), script .. p.err)
      end
    end)

    it("reaps orphans and ends what daemonised", function()
      local p = h.spawn(sh("for i in 1 2 3 4 5; do (setsid sleep 1000 & sleep 0.01 &) ; done; echo begun; read x; exit 0", {
        pid1 = pid1, stdin = true,
      }))
      p:wait_line("begun")
      h.wait_for(function()
        for _, pid in ipairs(p:children()) do
          local stat = h.stat(pid)
          if stat and stat.state == "Z" then return false end
        end
        return true
      end, 5, "no zombie")
      p:close_stdin()
      p:wait()
      assert.same({}, h.orphans())
    end)

    it("stops on TERM although the process ignores it", function()
      local p = h.spawn(sh("trap '' TERM; echo begun; while :; do sleep 0.05; done", {
        pid1 = pid1, env = { CONTAINER_SHUTDOWN_TIMEOUT_SECONDS = "2" },
      }))
      p:wait_line("begun")
      p:kill("TERM")
      assert.equal(137, (p:wait()), p.err)
      assert.same({}, h.orphans())
    end)

    it("keeps the workload when the engine is killed", function()
      local p = h.spawn(sh("for i in $(seq 300); do echo line $i; sleep 0.003; done; exit 9", {
        pid1 = pid1, env = { CONTAINER_RESTART_POLICY = "no" },
      }))
      p:wait_line("line 10")
      assert.is_true(h.sh("kill -9 " .. engine_of(p, pid1)) and true)
      assert.equal(9, (p:wait()))
      local n = 0
      for i in p.out:gmatch("line (%d+)\n") do
        n = n + 1
        assert.equal(n, tonumber(i))
      end
      assert.equal(300, n)
      assert.truthy(p.err:find("the engine ended", 1, true))
    end)

    it("stops in bounds when the engine is stopped", function()
      local p = h.spawn(sh("echo begun; exec sleep 1000", { pid1 = pid1 }))
      p:wait_line("begun")
      p:wait_event("startup_completed")
      h.sh("kill -STOP " .. engine_of(p, pid1))
      p:kill("TERM")
      assert.equal(143, (p:wait(5)))
      assert.same({}, h.orphans())
      local last = p:events("shutdown_completed")[1]
      assert.equal("lifecycle_manager", last.component)
      assert.same({ graceful = false, exit_code = 143, exit_source = "workload", cause = "signal" }, last.details)
    end)
  end)
end

it("has a table for the descriptors of many before its children share it", function()
  if h.build:find "asan" then return pending "new processes are forks there, with tables of their own" end
  local dir = h.tempdir()
  h.write(dir .. "/some.lua", [[return { name = "some", mode = "server",
    processes = { main = { "sleep", "1000" }, worker = { command = { "sh", "-c", "echo begun; exec sleep 1000" }, instances = 8 } } }]])
  local p = h.spawn { args = { "run", "--log-level", "INFO", "--flow-name", "some", "--flows", dir } }
  h.wait_for(function() return select(2, p.out:gsub("begun", "")) == 8 end, 10, "all of them")
  local status = assert(h.read(("/proc/%d/status"):format(p:children()[1])))
  local limits = assert(h.read(("/proc/%d/limits"):format(p:children()[1])))
  local most = tonumber(limits:match "Max open files%s+%d+%s+(%d+)") or math.huge
  assert.is_true(tonumber(status:match "FDSize:%s*(%d+)") >= math.min(4096, most))
  p:kill "TERM"
  p:wait()
end)

describe("kill -9", function()
  it("of tend leaves nothing running", function()
    local p = h.spawn(sh("sleep 1000 & setsid sleep 1000 & setsid sh -c 'sleep 1000 & wait' & echo begun; wait"))
    p:wait_line("begun")
    p:wait_event("startup_completed")
    local below = p:children()
    assert.is_true(#below >= 6)
    p:kill("KILL")
    h.wait_for(function()
      for _, pid in ipairs(below) do
        local s = h.stat(pid)
        if s and s.state ~= "Z" then return false end
      end
      return true
    end, 5, "all gone")
  end)
end)

describe("the guard, once the start is over,", function()
  local function program_of(pid) return (h.sh(("readlink /proc/%d/exe"):format(pid)):gsub("%s+$", "")) end

  local function settled(script, o)
    local p = h.spawn(sh(script, o))
    p:wait_line "begun"
    if h.build:find "asan" then return p end -- a fork of tend, for ever
    h.wait_for(function() return program_of(p.pid):find "/tend%-guard$" end, 10, "the guard is a program of its own")
    return p
  end

  local function gone(pids)
    for _, pid in ipairs(pids) do
      local s = h.stat(pid)
      if s and s.state ~= "Z" then return false end
    end
    return true
  end

  it("is shown as it was started", function()
    local p = settled "echo begun; exec sleep 1000"
    local init = p:children()[1]
    assert.equal("tend", h.stat(p.pid).name)
    assert.equal(h.read(("/proc/%d/cmdline"):format(init)), h.read(("/proc/%d/cmdline"):format(p.pid)))
    p:kill "TERM"
    assert.equal(143, (p:wait()), p.err)
    assert.same({}, h.orphans())
  end)

  it("hands signals on and gives the exit code", function()
    local p = settled("trap 'echo heard; exit 7' USR1; echo begun; while :; do sleep 0.05; done", {
      env = { CONTAINER_RESTART_POLICY = "no" },
    })
    p:kill "USR1"
    assert.equal(7, (p:wait()), p.err)
    assert.truthy(p.out:find("heard", 1, true))
  end)

  for _, whom in ipairs { "itself", "init" } do
    it("leaves nothing running where " .. whom .. " is killed with -9", function()
      local p = settled "sleep 1000 & setsid sleep 1000 & setsid sh -c 'sleep 1000 & wait' & echo begun; wait"
      local below = p:children()
      assert.is_true(#below >= 6)
      assert.equal(0, select(2, h.sh("kill -9 " .. (whom == "init" and below[1] or p.pid))))
      assert.equal(whom == "init" and 137 or nil, (p:wait()))
      h.wait_for(function() return gone(below) end, 5, "all gone")
    end)
  end

  it("goes on in init's memory where its program is not there", function()
    local dir = h.tempdir()
    assert.equal(0, select(2, h.sh(("cp %s/%s/tend %s/"):format(h.top, h.build, dir))))
    local o = sh "sleep 0.3; echo later; exec sleep 1000"
    o.program = dir .. "/tend"
    local p = h.spawn(o)
    p:wait_line "later"
    assert.equal(o.program, program_of(p.pid))
    p:kill "TERM"
    assert.equal(143, (p:wait()), p.err)
    assert.same({}, h.orphans())
  end)

  it("keeps the name under which it was started", function()
    local entry = h.tempdir() .. "/entry"
    assert.equal(0, select(2, h.sh(("ln -s %s %s"):format(h.tend, entry))))
    local p = settled("echo begun; exec sleep 1000", { program = entry })
    assert.equal("entry", h.stat(p.pid).name)
    p:kill "TERM"
    assert.equal(143, (p:wait()), p.err)
  end)

  it("follows no link to its program, which somebody else may have put there", function()
    local dir = h.tempdir()
    h.sh(("cp %s %s/tend && ln -s /bin/true %s/tend-guard"):format(h.tend, dir, dir))
    local p = h.spawn(sh("sleep 0.3; echo later; exec sleep 1000", { program = dir .. "/tend" }))
    p:wait_line "later"
    assert.equal(dir .. "/tend", program_of(p.pid))
    p:kill "TERM"
    assert.equal(143, (p:wait()), p.err)
  end)

  it("keeps the rights that tend's file gives", function()
    local dir = h.tempdir()
    h.sh(("cp %s %s-helper %s-guard %s/"):format(h.tend, h.tend, h.tend, dir))
    if select(2, h.sh(("setcap cap_kill+ep %s/tend 2>/dev/null"):format(dir))) ~= 0 then
      return pending "a file can be given rights by root only"
    end
    local nobody = 65534
    h.sh(("chmod 755 %s"):format(dir))
    local p = h.spawn(sh("sleep 0.3; echo later; exec sleep 1000", { program = dir .. "/tend", uid = nobody, gid = nobody }))
    p:wait_line "later"
    local rights = h.read(("/proc/%d/status"):format(p.pid)):match "CapEff:%s*(%x+)"
    assert.equal(0x20, tonumber(rights, 16)) -- CAP_KILL
    p:kill "TERM"
    assert.equal(143, (p:wait()), p.err)
  end)

  it("finds everybody although it may open few files", function()
    local program = h.tempdir() .. "/few"
    h.write(program, ("#!/bin/sh\nulimit -Sn 4\nexec %s \"$@\"\n"):format(h.tend))
    h.sh("chmod 755 " .. program)
    local p = h.spawn(sh("setsid sleep 1000 & echo begun; wait", { program = program }))
    p:wait_line "begun"
    local below = p:children()
    h.sh("kill -9 " .. below[1])
    assert.equal(137, (p:wait()), p.err)
    h.wait_for(function() return gone(below) end, 5, "all gone")
  end)
end)

describe("a process whose children are in another namespace", function()
  it("says so", function()
    if select(2, h.sh "unshare --pid --fork true 2>/dev/null") ~= 0 then return pending "no pid namespaces here" end
    local out, code = h.sh(("unshare --pid %s run -- true 2>&1"):format(h.tend))
    assert.equal(71, code, out)
    assert.truthy(out:find("--fork", 1, true), out)
  end)
end)

describe("run --tty", function()
  it("gives main the terminal and its signals", function()
    local p = h.spawn {
      args = { "run", "--tty", "--", "sh", "-c", "trap 'echo interrupted; exit 6' INT; tty; echo begun; while :; do sleep 0.05; done" },
      tty = true, env = { CONTAINER_RESTART_POLICY = "no" },
    }
    p:wait_line("begun")
    assert.truthy(p.out:find("/dev/pts/%d+"))
    p:send("\3")
    assert.equal(6, (p:wait()))
    assert.truthy(p.out:find("interrupted", 1, true))
  end)
end)
