-- What a hostile or broken neighbourhood does to tend: limits, a stopped init, floods from a script.
local h = require "harness"

local function with(limit, args, env)
  return h.start {
    argv = { "/usr/bin/prlimit", limit, h.tend, table.unpack(args) },
    env = env,
  }
end

local function places(dir)
  return {
    CONTAINER_STATE_DIR = dir .. "/state", CONTAINER_LOG_DIR = dir .. "/logs", CONTAINER_DATA_DIR = dir .. "/data",
    CONTAINER_OUTPUT_DIR = dir .. "/output", CONTAINER_ENVIRONMENT = "test", CONTAINER_HTTP_ADDRESS = "off",
    CONTAINER_MIN_FREE_DISK_MB = 1, CONTAINER_LOW_FREE_DISK_MB = 1, CONTAINER_RESTART_POLICY = "no",
    ASAN_OPTIONS = os.getenv("ASAN_OPTIONS"),
  }
end

local function flow(text)
  local dir = h.tempdir()
  h.write(dir .. "/x.lua", text)
  return { "--flow-name", "x", "--flows", dir }
end

describe("limits", function()
  it("takes a limit on file sizes for a full disk, not for a reason to die", function()
    for _, size in ipairs { 4096, 16384 } do
      local p = with("--fsize=" .. size, { "run", "--", "sh", "-c", "echo hi; exit 5" }, places(h.tempdir()))
      assert.equal(5, (p:wait()))
      assert.equal("hi\n", p.out)
      assert.equal(1, #p:events("shutdown_completed"))
    end
  end)

  it("cannot execute a command of 10 MB", function()
    local args = flow [[
      local words = { "true" }
      for i = 1, 100 do words[i + 1] = ("x"):rep(100000) end
      return { processes = { main = { command = words } } }
    ]]
    local code, _, err = h.run { args = { "run", table.unpack(args) } }
    assert.equal(126, code)
    assert.truthy(err:find("larger than 8 MiB", 1, true))
  end)

  it("ends its timers at a number that a loop does not reach by chance", function()
    local args = flow [[
      local n = 0
      local ok, problem = pcall(function() while true do timer.after(600, function() end); n = n + 1 end end)
      print(n, problem)
      return { processes = { main = { command = { "true" }, mode = "single" } } }
    ]]
    local p = h.spawn { args = { "run", table.unpack(args) } }
    assert.equal(0, (p:wait()))
    assert.truthy(p.err:find("4096\\t.-there can be no more"))
  end)

  it("refuses a configuration file with countless members within a second", function()
    local dir = h.tempdir()
    local list = {}
    for i = 1, 20000 do list[i] = ('"execution_interval%d": 1'):format(i) end
    h.write(dir .. "/c.json", "{" .. table.concat(list, ",") .. "}")
    local code, _, err, cpu = h.run { args = { "run", "--config", dir .. "/c.json", "--", "true" } }
    assert.equal(78, code)
    assert.truthy(err:find("20000 settings, at most 4096", 1, true))
    assert.is_true(cpu < 1 * h.slow, cpu)
  end)
end)

describe("a stopped init", function()
  it("obeys a stop all the same", function()
    local p = h.spawn { args = { "run", "--", "sh", "-c", "kill -STOP $PPID; echo stopped >&2; exec sleep 1000" } }
    local main = h.wait_for(function()
      for _, pid in ipairs(p:children()) do
        local stat = h.read("/proc/" .. pid .. "/stat")
        if stat and stat:find("%) T ") then return pid end
      end
      return nil
    end, 10, "init to be stopped")
    assert.truthy(main)
    p:kill("TERM")
    assert.equal(143, (p:wait()))
    assert.equal(1, #p:events("shutdown_completed"))
  end)
end)

describe("tend check", function()
  it("finds what waits while the file loads, as tend run does", function()
    for _, call in ipairs { "postgres.query('host=127.0.0.1', 'select 1')", "process.run { 'true' }", "probe.tcp { host = 'x', port = 1 }" } do
      local args = flow(call .. " return { processes = { main = { command = { 'true' } } } }")
      local code, out = h.run { args = { "check", table.unpack(args) } }
      assert.equal(78, code, call)
      assert.truthy(out:find("cannot wait here", 1, true), call)
    end
  end)
end)
