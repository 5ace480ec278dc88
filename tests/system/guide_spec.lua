-- What README and guide tell a newcomer to do works as it stands there.
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

  it("runs, answers every command of the page, and stops", function()
    local e, dir = env()
    local p = h.spawn { args = { "run", "--flow-name", "inbox" }, env = e }
    p:wait_line("^0 files$", 10, "out")
    h.write(dir .. "/one", "")
    p:wait_line("^1 files$", 10, "out")
    local n = 0
    for command in block(guide, "In another terminal.-```sh\n(.-)```"):gmatch("build/tend (%C+)") do
      local words = {}
      for word in command:gmatch("%S+") do words[#words + 1] = word end
      local code, out, err = h.ask(p, table.unpack(words))
      assert.equal(0, code, command .. ": " .. out .. err)
      n = n + 1
    end
    assert.is_true(n >= 6)
    assert.equal(0, (p:wait()))
    assert.equal("inbox is left", p:wait_event("message").message)
    assert.is_true(p:wait_event("shutdown_completed").details.graceful)
  end)

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

describe("the README's flow", function()
  it("runs and stops", function()
    local text = block(h.read("README.md"), "`flows/hello.lua`:\n\n(    return {.-\n    }\n)"):gsub("\n    ", "\n")
    local p = h.spawn { args = { "run", "--flow-name", "hello" }, env = { CONTAINER_FLOWS_DIR = flow_dir("hello", text) } }
    p:wait_event("startup_completed")
    p:wait_line("%d%d:%d%d", 10, "out")
    p:kill("TERM")
    assert.equal(0, (p:wait()))
    assert.equal("all done", p:wait_event("message").message)
    assert.same({}, h.orphans())
  end)
end)
