-- `make run` for real: the script, a private PostgreSQL, flow rpa1 and its job.
local h = require "harness"
local postgres = require "postgres"

describe("make run", function()
  local function start(o)
    local missing = postgres.missing()
    if missing then pending(missing) end
    local dir = h.tempdir()
    h.sh("chmod 755 " .. h.quote(dir))
    local env = {
      RUN_DIR = dir .. "/run", BUILD = h.build, CONTAINER_EXECUTION_INTERVAL = "1", CONTAINER_LOG_FORMAT = "json",
      CONTAINER_MIN_FREE_DISK_MB = "1", CONTAINER_LOW_FREE_DISK_MB = "1",
    }
    for k, v in pairs(o.env or {}) do env[k] = v end
    local p = assert(h.start { argv = { h.top .. "/deploy/local/run.sh" }, env = env })
    p.run = env.RUN_DIR
    return p
  end

  local function output_of(p)
    return h.sh("find " .. h.quote(p.run .. "/output") .. " -name '*.csv' -size +0 | wc -l"):match("%d+")
  end

  it("processes files against its own server and stops everything in order", function()
    local p = start { env = { RUN_ONCE = "1" } }
    assert.equal(0, (p:wait(60)))
    assert.not_equal("0", output_of(p))
    local stopped = p.err:find("PostgreSQL stopped", 1, true)
    assert.truthy(stopped)
    assert.is_true(stopped > p.err:find('"event": "shutdown_completed"', 1, true))
    assert.is_true(p:events("shutdown_completed")[1].details.graceful)
    assert.same({}, h.orphans())
    assert.is_nil(h.read(p.run .. "/postgres/data/postmaster.pid"))
    assert.is_nil((p.out .. p.err):find((h.sh("cat " .. h.quote(p.run .. "/postgres/password")))), 1, true)
  end)

  it("stops on INT, and refuses to run twice in one folder", function()
    local p = start {}
    p:wait_event("startup_completed", { deadline = 30 })
    local second = assert(h.start { argv = { h.top .. "/deploy/local/run.sh" }, env = { RUN_DIR = p.run, BUILD = h.build } })
    assert.equal(73, (second:wait()))
    p:kill("INT")
    assert.equal(0, (p:wait(40)))
    assert.truthy(p.err:find("PostgreSQL stopped", 1, true))
    assert.same({}, h.orphans())
  end)

  it("leaves nothing when it is killed", function()
    local p = start {}
    p:wait_event("startup_completed", { deadline = 30 })
    p:kill("KILL")
    h.wait_for(function() return p:ended() end)
    h.wait_for(function() return #h.orphans() == 0 end, 40, "the end of all it had started")
  end)
end)
