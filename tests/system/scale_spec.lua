-- The number of instances of a process follows what its flow measures, within bounds and with cool-downs.
local h = require "harness"
local cjson = require "cjson"
local postgres = require "postgres"

-- What is wanted is the number in the file `wanted`.
local function run(scale, instances)
  local dir = h.tempdir()
  h.write(dir .. "/some.lua", ([[
    local dir = %q
    return { name = "some", mode = "server", processes = { main = { command = { "sleep", "1000" } },
      worker = { command = { "sh", "-c", "echo worker $TEND_INSTANCE; exec sleep 1000" }, instances = %d, scale = { interval = 0.1, measure = function(about)
        local text = fs.read(dir .. "/wanted")
        if text == "raise" then error("no number today") end
        if text == "text" then return "three" end
        return text and tonumber(text)
      end, %s } } } }]]):format(dir, instances, scale))
  local p = h.spawn { args = { "run", "--flow-name", "some", "--flows", dir } }
  p:wait_event("startup_completed")
  function p.want(n) h.write(dir .. "/next", tostring(n)); os.rename(dir .. "/next", dir .. "/wanted") end
  return p
end

local function workers(p)
  local _, out = h.ask(p, "status", "--json")
  local up, spare = 0, 0
  for _, x in ipairs(cjson.decode(out).processes) do
    if x.name == "worker" then
      up = up + (x.state == "up" and 1 or 0)
      spare = spare + (x.spare and x.state == "down" and 1 or 0)
    end
  end
  return up, spare
end

local function becomes(p, up, spare)
  h.wait_for(function()
    local u, s = workers(p)
    return u == up and s == spare
  end, 10, ("%d workers up, %d spare"):format(up, spare))
end

describe("scale", function()
  it("goes up and down between its bounds; what is taken away stays down", function()
    local p = run("min = 2, max = 4, cooldown = 0, down_cooldown = 0", 2)
    becomes(p, 2, 2)
    p.want(100)
    becomes(p, 4, 0)
    local e = p:wait_event("process_scaled").details
    assert.same({ process = "worker", from = 2, to = 4, wanted = 100, min = 2, max = 4 }, e)
    p:wait_line("^worker 3$")
    p.want(0)
    becomes(p, 2, 2)
    local before = #p:events("process_started")
    local exits = p:events("process_exited")
    assert.equal(2, #exits)
    assert.equal("stopped", exits[1].details.reason)
    assert.equal(0, #p:events("restart_initiated"))
    assert.equal(0, (h.ask(p, "restart", "worker"))) -- both that are asked for, not the others
    becomes(p, 2, 2)
    assert.equal(before + 2, #p:events("process_started"))
    p.want(3)
    becomes(p, 3, 1)
    local _, metrics = h.ask(p, "metrics", "--json")
    assert.is_table(cjson.decode(metrics))
    p:kill("TERM")
    assert.equal(0, (p:wait()))
  end)

  it("keeps its cool-downs and takes no more than a step", function()
    local p = run("min = 1, max = 6, step = 2, cooldown = 600, down_cooldown = 600", 1)
    p.want(6)
    becomes(p, 3, 3) -- the first at once, then it rests
    p.want(1)
    local e = p:events("process_scaled")
    assert.equal(1, #e)
    assert.equal(3, e[1].details.to)
  end)

  it("an operator's stop, and maintenance, come first", function()
    local p = run("min = 1, max = 3, cooldown = 0, down_cooldown = 0", 1)
    assert.equal(0, (h.ask(p, "stop", "worker")))
    p.want(3)
    assert.equal(0, (h.ask(p, "maintenance", "on")))
    assert.equal(0, (h.ask(p, "start", "worker")))
    becomes(p, 1, 2)
    assert.equal(0, #p:events("process_scaled"))
    assert.equal(0, (h.ask(p, "maintenance", "off")))
    becomes(p, 3, 0)
  end)

  it("what is no number changes nothing, and is told once", function()
    local p = run("min = 1, max = 3, cooldown = 0, down_cooldown = 0", 2)
    p.want("raise")
    local e = p:wait_event("script_error")
    assert.truthy(e.message:find("scale of worker", 1, true))
    assert.truthy(e.message:find("no number today", 1, true))
    p.want("text")
    p.want(3)
    becomes(p, 3, 0)
    p.want("text")
    e = p:wait_event("script_error", { nth = 2 })
    assert.truthy(e.message:find("it gave no number", 1, true))
    becomes(p, 3, 0)
  end)
end)

describe("flow rpa3", function()
  it("has as many workers as its queue makes work", function()
    local db, dir = postgres.start { conf = { max_connections = 40 } }, h.tempdir()
    -- the flow as it is, but for its times
    h.sh(("cp -r flows %s/flows && sed -i 's/interval = 30,/interval = 0.5, down_cooldown = 1, cooldown = 0,/' %s/flows/rpa3.lua"):format(dir, dir))
    local p = h.spawn { args = { "run", "--flow-name", "rpa3", "--flows", dir .. "/flows" }, env = {
      CONTAINER_RPA_DB_CONNECTION_STRING = db:uri(), CONTAINER_EXECUTION_MODE = "server", CONTAINER_RPA3_CONCURRENT_WORKERS = 2,
      CONTAINER_RPA3_BATCH_SIZE = 5, CONTAINER_MAX_MEMORY_MB = 16, CONTAINER_MAX_CPU_PERCENT = 1, CONTAINER_SCRIPTS_DIR = h.top .. "/scripts" } }
    local function scaled(nth)
      local e = p:wait_event("process_scaled", { nth = nth, deadline = 30 }).details
      return { e.process, e.from, e.to }
    end
    if tonumber((h.sh "nproc")) < 2 then return pending("needs two CPUs") end
    assert.same({ "worker", 2, 1 }, scaled(1)) -- an empty queue
    db:sql "insert into rpa3_queue (payload) select jsonb_build_object('id', i::text) from generate_series(1, 20000) i"
    assert.same({ "worker", 1, 2 }, scaled(2))
    p:kill "TERM"
    assert.equal(0, (p:wait(30)))
    assert.equal("0", (db:sql "select count(*) from rpa3_queue where state = 'claimed'"))
    db:stop "immediate"
  end)
end)
