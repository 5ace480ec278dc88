-- What one meets at the edges: names that are no names, a second engine, a failure that is held.
local h = require "harness"

describe("a name that is no flow's", function()
  it("leads to no file anywhere", function()
    local p = h.spawn { args = { "run", "--flow-name", "../evil", "--", "true" } }
    assert.equal(78, (p:wait()))
    assert.truthy(p.err:find("a-z0-9", 1, true))
    assert.equal(1, #p:wait_event("validation_completed").details.failures)
    assert.equal("", (h.sh("find " .. h.quote(p.dir) .. " -name '*lifecycle_metrics*' -o -name 'evil*'")))
  end)
end)

describe("a second engine of a flow", function()
  it("is told which is the first, and leaves its files alone", function()
    local dir = h.tempdir()
    local first = h.spawn { args = { "run", "--flow-name", "one", "--", "sleep", "1000" }, dir = dir }
    first:wait_event("startup_completed")
    h.wait_for(function() return h.exists(dir .. "/logs/events.jsonl") end)
    local second = h.spawn { args = { "run", "--flow-name", "one", "--", "true" }, dir = dir }
    assert.equal(73, (second:wait()))
    local told = second:wait_event("validation_completed").details.failures[1]
    assert.equal("environment", told.source)
    assert.truthy(told.fix:find('flow "one" runs already: pid ' .. first.pid, 1, true))
    assert.falsy(h.exists(dir .. "/logs/one_lifecycle_metrics.json"))
    assert.falsy((h.read(dir .. "/logs/events.jsonl") or ""):find("validation failed", 1, true))
    first:kill("TERM")
    first:wait()
  end)
end)

describe("a held failure", function()
  it("can be stopped and started, and its code stays the last word", function()
    local p = h.spawn {
      args = { "run", "--flow-name", "one", "--mode", "simple", "--", "sh", "-c", "exit 9" },
      env = { CONTAINER_ON_FAILURE = "hold" },
    }
    p:wait_event("failure_detected")
    h.wait_for(function() return h.ask(p, "status") == 0 end)
    local _, out = h.ask(p, "status")
    assert.truthy(out:find("FAILED", 1, true))
    assert.falsy(out:find("not essential", 1, true))
    assert.equal(1, (h.ask(p, "health")))
    assert.equal(0, (h.ask(p, "stop")))
    _, out = h.ask(p, "status")
    assert.truthy(out:find("STOPPED for 0 s, unknown, not ready\nan operator stopped it", 1, true), out)
    p:kill("TERM")
    assert.equal(9, (p:wait()))
  end)
end)

describe("output that nobody reads", function()
  local lines = { "run", "--flow-name", "one", "--mode", "simple", "--", "sh", "-c" }
  local function say(script)
    local args = table.move(lines, 1, #lines, 1, {})
    args[#args + 1] = script
    return args
  end

  it("does not keep tend where it may be dropped", function()
    local p = h.spawn { args = say "seq 1 100000; exit 3", held = true, env = { CONTAINER_OUTPUT_OVERFLOW = "drop" } }
    assert.equal(3, (p:wait()))
  end)

  it("does not keep tend when its end is asked for", function()
    local p = h.spawn { args = say "seq 1 100000; exit 3", held = true, env = { CONTAINER_SHUTDOWN_TIMEOUT_SECONDS = 2 } }
    h.wait_for(function() return h.ask(p, "status") == 0 end)
    assert.equal(0, (h.ask(p, "shutdown")))
    assert.equal(143, (p:wait()))
  end)
end)

describe("tend health", function()
  it("says what is degraded", function()
    local dir = h.tempdir()
    h.write(dir .. "/opt.lua", [[return {
      dependencies = { { name = "opt", kind = "tcp", params = { host = "127.0.0.1", port = ]] .. h.free_port() .. [[ },
                         required = false, timeout = 0.2, interval = 0.1 } },
      processes = { main = { command = { "sleep", "1000" } } },
    }]])
    local p = h.spawn { args = { "run", "--flow-name", "opt", "--flows", dir } }
    p:wait_event("startup_completed")
    local code, out = h.ask(p, "health")
    assert.equal(0, code)
    assert.matches("^degraded\n  optional dependency opt is not ready: refused, [^\n]+\n$", out)
  end)
end)

describe("a user that is not there", function()
  it("is named, and ends tend with 77", function()
    local dir = h.tempdir()
    h.write(dir .. "/one.lua", [[return { processes = { main = { command = { "true" }, user = "nobody-of-ours" } } }]])
    local p = h.spawn { args = { "run", "--flow-name", "one", "--flows", dir } }
    assert.equal(77, (p:wait()))
    assert.truthy(p:wait_event("failure_detected").message:find('there is no user "nobody-of-ours"', 1, true))
  end)
end)

describe("tend logs --follow", function()
  it("shows the last words of a process that ends tend", function()
    local dir = h.tempdir()
    local p = h.spawn {
      args = { "run", "--flow-name", "one", "--mode", "simple", "--", "sh", "-c",
               "echo begun; while [ ! -e " .. dir .. "/go ]; do sleep 0.05; done; echo oh; printf no; exit 9" },
    }
    p:wait_event("startup_completed")
    local follower = h.spawn { args = { "logs", "--follow" }, dir = p.dir }
    follower:wait_line("begun")
    h.write(dir .. "/go", "")
    assert.equal(9, (p:wait()))
    assert.equal(0, (follower:wait()))
    assert.equal("begun\noh\nno", follower.out)
  end)
end)
