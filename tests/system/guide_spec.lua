-- What the guide says in prose about its flow; its commands are typed by pages_spec.lua.
local h = require "harness"

local function block(text, pattern)
  return assert(text:match(pattern), "the block is not there any more")
end

local guide = h.read("docs/guide.md")
local inbox = block(guide, "```lua\n(.-)```")

local function flow_dir(name, text)
  local dir = h.tempdir()
  h.write(dir .. "/" .. name .. ".lua", text)
  return dir
end

describe("the guide's flow", function()
  local function env(more)
    local dir = h.tempdir()
    local e = {
      CONTAINER_FLOWS_DIR = flow_dir("inbox", inbox), CONTAINER_INBOX_DIR = dir, CONTAINER_EXECUTION_INTERVAL = "1",
      CONTAINER_RESTART_DELAY_SECONDS = "100ms",
    }
    for k, v in pairs(more or {}) do e[k] = v end
    return e, dir
  end

  it("fails as the page says", function()
    local e, dir = env { CONTAINER_INBOX_LIMIT = "1", CONTAINER_MAX_RESTART_ATTEMPTS = "1" }
    h.write(dir .. "/one", "")
    h.write(dir .. "/two", "")
    local p = h.spawn { args = { "run", "--flow-name", "inbox" }, env = e }
    assert.equal(1, (p:wait()))
    assert.equal(1, #p:events("restart_initiated"))
    assert.equal("workload", p:wait_event("shutdown_completed").details.exit_source)
    local code, _, err = h.run { args = { "run", "--flow-name", "inbox" }, env = (env { CONTAINER_INBOX_LIMIT = "many" }) }
    assert.equal(78, code)
    assert.truthy(err:find('"value": "many"', 1, true))
  end)

  it("waits for what is not ready, and goes on when it is", function()
    local e, dir = env()
    h.write(dir .. "/CLOSED", "")
    local p = h.spawn { args = { "run", "--flow-name", "inbox" }, env = e }
    assert.equal("not_closed", p:wait_event("dependency_waiting").details.name)
    os.remove(dir .. "/CLOSED")
    p:wait_event("startup_completed")
  end)

  it("names a key that is misspelt, with file and line", function()
    local dir = flow_dir("inbox", (inbox:gsub("\n  dependencies =", "\n  dependancies =")))
    local code, _, err = h.run { args = { "run", "--flow-name", "inbox" }, env = { CONTAINER_FLOWS_DIR = dir } }
    assert.equal(78, code)
    assert.truthy(err:find("inbox.lua:%d+"))
    assert.truthy(err:find("dependancies", 1, true))
    assert.truthy(err:find("dependencies", 1, true))
  end)
end)
