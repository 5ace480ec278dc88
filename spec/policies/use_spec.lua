-- The ready checks of what a container uses and how its workload is: policies.resources, policies.application.
package.path = "./?.lua;" .. package.path
local support = require "spec.policies.support"

describe("checks of what is in use", function()
  local resources = require "policies.resources"

  it("have limits of their own where none are given", function()
    local memory = resources.memory()
    assert.same({ "memory", "usage", "monitor", { of = "memory", warn = 80, fail = 90 } },
      { memory.name, memory.kind, memory.role, memory.params })
    assert.same({ of = "cpu", warn = 90 }, resources.cpu().params)
    assert.same({ of = "oom_kills", warn = 1 }, resources.oom_kills().params)
    assert.same({ of = "io_pressure", warn = 40 }, resources.pressure("io").params)
    assert.same({ of = "tasks", warn = 80, fail = 95 }, resources.tasks().params)
    assert.same({ of = "descriptors", warn = 80, fail = 95 }, resources.descriptors().params)
  end)

  it("take limits and what every check may have", function()
    local memory = resources.memory { name = "ram", fail = 50, interval = 5, failures = 2, role = "liveness", process = "main" }
    assert.same({ "ram", "liveness", 5, 2, "main" }, { memory.name, memory.role, memory.interval, memory.failures, memory.process })
    assert.same({ of = "memory", fail = 50 }, memory.params)
    local disk = resources.disk "/app/output"
    assert.same({ "disk_app_output", { of = "disk", path = "/app/output", warn = 80, fail = 95 } }, { disk.name, disk.params })
    assert.same({ of = "inodes", path = "/x", warn = 10 }, resources.inodes { path = "/x", warn = 10 }.params)
  end)

  it("name what is wrong", function()
    assert.matches("resources%.memory%.warm: unknown option; did you mean \"warn\"", support.raised(resources.memory, { warm = 1 }))
    assert.matches("resources%.disk%.path: missing", support.raised(resources.disk, {}))
    assert.matches("resources%.memory%.failures: expected a whole number", support.raised(resources.memory, { failures = "x" }))
    assert.matches('expected "cpu", "memory" or "io", got disk', support.raised(resources.pressure, "disk"))
  end)
end)

describe("checks of the workload", function()
  local application = require "policies.application"

  it("look at a heartbeat file", function()
    local c = application.heartbeat { path = "/run/beat", max_age = 60, role = "liveness", process = "main" }
    assert.same({ "heartbeat_run_beat", "file", { path = "/run/beat", max_age = 60 }, "liveness", "/run/beat is touched every 60 s" },
      { c.name, c.kind, c.params, c.role, c.description })
    assert.matches("application%.heartbeat%.max_age: missing", support.raised(application.heartbeat, { path = "/x" }))
  end)

  it("ask an HTTP endpoint", function()
    local c = application.http { url = "http://127.0.0.1:8000/health", status = 200, role = "readiness" }
    assert.same({ "http_127_0_0_1_8000_health", "http", "readiness", { url = "http://127.0.0.1:8000/health", status = 200 } },
      { c.name, c.kind, c.role, c.params })
  end)

  it("look at processes of the flow", function()
    local c = application.silence { process = "main", after = 60, failures = 2 }
    assert.same({ "silence_main", "silence", "monitor", 2, { process = "main", after = 60 } }, { c.name, c.kind, c.role, c.failures, c.params })
    c = application.process { process = "worker", min_uptime = 5, instances = 2 }
    assert.same({ "process_worker", { process = "worker", min_uptime = 5, instances = 2 } }, { c.name, c.params })
    assert.is_nil(c.params.failures)
    assert.matches("application%.silence%.after: missing", support.raised(application.silence, { process = "main" }))
  end)

  it("count restarts", function()
    finally(function() _G.lifecycle = nil end)
    local n = 0
    _G.lifecycle = { status = function() return { restarts_in_window = n } end }
    local c = application.restarts { warn = 2, fail = 4 }
    assert.is_true(c.check())
    n = 2
    assert.same({ "warn", "2 restarts within the window" }, { c.check() })
    n = 4
    assert.same({ "fail", "4 restarts within the window" }, { c.check() })
  end)

  it("miss a setting without a value", function()
    support.settings { CONTAINER_A = "1" }
    local c = application.environment { "CONTAINER_A", "CONTAINER_B" }
    assert.same({ "CONTAINER_A", "CONTAINER_B" }, c.requires)
    assert.same({ "fail", "CONTAINER_B has no value" }, { c.check() })
    support.settings { CONTAINER_A = "1", CONTAINER_B = "2" }
    assert.is_true(c.check())
    assert.matches("expected a list of names", support.raised(application.environment, {}))
  end)
end)
