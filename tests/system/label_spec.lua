-- CONTAINER_OUTPUT_FORMAT=label: each line begins with the name of who says it, from the second instance on with its number, as in tend status.
local h = require "harness"

local function run(processes, env)
  local dir = h.tempdir()
  h.write(dir .. "/l.lua", "return { mode = 'single', processes = {" .. processes .. "} }")
  env = env or {}
  env.CONTAINER_OUTPUT_FORMAT = "label"
  return h.spawn { args = { "run", "--flow-name", "l", "--flows", dir }, env = env }
end

local function say(script)
  return ("main = { command = { 'sh', '-c', [[%s]] } }"):format(script)
end

describe("labelled output", function()
  it("has the process's name before each line of both streams, which stay apart", function()
    local p = run(say [[echo one; echo; echo three; echo four >&2]])
    assert.equal(0, (p:wait()))
    assert.equal("main: one\nmain: \nmain: three\n", p.out)
    assert.truthy(("\n" .. p.err):find("\nmain: four\n", 1, true))
  end)

  it("tells instances apart, in whole lines", function()
    local p = run([[worker = { command = { "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo w $i; done; exec sleep 1000" }, instances = 3 },
      main = { command = { "sleep", "1000" } }]])
    h.wait_for(function() return select(2, p.out:gsub(" w 9\n", "")) == 3 end)
    local seen = {}
    for line in p.out:gmatch "([^\n]*)\n" do
      local instance, n = line:match "^worker(%S*): w (%d)$"
      assert.is_string(instance, line)
      seen[instance] = (seen[instance] or "") .. n
    end
    assert.same({ [""] = "123456789", ["/1"] = "123456789", ["/2"] = "123456789" }, seen)
    p:kill "TERM"
    assert.equal(143, (p:wait()))
  end)

  it("labels a line once, however it comes: in pieces, over 64 KiB, without an end, with any bytes", function()
    local p = run(say [[printf par; sleep 0.05; printf 'tial\n'; head -c 200000 /dev/zero | tr '\0' x; echo; printf 'a\377\000b\n'; printf end]])
    assert.equal(0, (p:wait()))
    local lines = {}
    for line in (p.out .. "\n"):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    assert.equal("main: partial", lines[1])
    assert.equal("main: " .. ("x"):rep(200000), lines[2])
    assert.equal("main: a\xff\0b", lines[3])
    assert.equal("main: end", lines[4])
  end)

  it("keeps the log's lines whole on the same stream, and a flow may ask for it", function()
    local dir = h.tempdir()
    h.write(dir .. "/l.lua", "return { mode = 'single', settings = { OUTPUT_FORMAT = 'label' }, processes = {" .. say "printf end" .. "} }")
    local p = h.spawn { args = { "run", "--flow-name", "l", "--flows", dir }, env = { CONTAINER_LOG_STREAM = "stdout" } }
    assert.equal(0, (p:wait()))
    assert.truthy(("\n" .. p.out):find("\nmain: end\n{", 1, true), p.out)
    assert.equal(1, #p:events "shutdown_completed")
  end)

  it("loses nothing when much is said at once", function()
    local p = run(say "seq 1 50000")
    assert.equal(0, (p:wait(30)))
    local n = 0
    for line in p.out:gmatch "([^\n]*)\n" do
      n = n + 1
      if line ~= "main: " .. n then error(line) end
    end
    assert.equal(50000, n)
  end)
end)
