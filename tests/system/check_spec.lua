-- tend check: the plan and every problem, without starting anything.
local h = require "harness"
local cjson = require "cjson"

describe("tend check", function()
  local dir

  before_each(function() dir = h.tempdir() end)

  local function flow(text, args)
    h.write(dir .. "/x.lua", text)
    local list = { "check", "--flow-name", "x", "--flows", dir }
    for _, a in ipairs(args or {}) do list[#list + 1] = a end
    return h.run { args = list }
  end

  it("prints the plan of a good flow", function()
    local code, out = flow [[return { name = "x", summary = "one", processes = { main = { "sleep", "1" } } }]]
    assert.equal(0, code, out)
    assert.matches("main: sleep 1", out, 1, true)
    assert.matches("good", out)
  end)

  it("prints every problem with file, line, key and what is allowed", function()
    local code, out = flow [[
return {
  name = "x",
  proceses = {},
  processes = {
    main = { command = { "sleep", "1" }, instances = "two" },
  },
  dependencies = {
    { name = "a", kind = "tcp", params = { host = "h", port = 1 },
      timeout = "abc" },
    { name = "b", kind = "tpc" },
  },
}]]
    assert.equal(78, code, out)
    for _, part in ipairs { "x.lua:3", "x.lua:5", "x.lua:9", "x.lua:10", "proceses", 'did you mean "processes"',
      "processes.main.instances", "dependencies[1].timeout", "dependencies[2]" } do
      assert.matches(part, out, 1, true)
    end
  end)

  it("gives JSON", function()
    local code, out = flow([[return { name = "x", processes = { main = { command = { "a" }, env = { A_TOKEN = "geheim77" } } } }]],
      { "--json" })
    assert.equal(0, code, out)
    local json = cjson.decode(out)
    assert.is_true(json.ok)
    assert.equal("main", json.plan.processes[1].name)
    assert.is_nil(out:find("geheim77", 1, true))
  end)

  it("asks each dependency once, and starts nothing", function()
    local port = h.free_port()
    local text = ([[
return {
  name = "x", processes = { main = { "touch", "%s/started" } },
  dependencies = {
    { name = "nobody", kind = "tcp", params = { host = "127.0.0.1", port = %d }, timeout = 600 },
    { name = "there", check = function() timer.sleep(0.01) return true end },
    { name = "raises", check = function() error "oops" end, required = false },
  },
}]]):format(dir, port)
    local before = h.native.now()
    local code, out = flow(text, { "--dependencies", "--json" })
    assert.equal(69, code, out)
    assert.is_true(h.native.now() - before < 60)
    local by = {}
    for _, a in ipairs(cjson.decode(out).asked) do by[a.name] = a end
    assert.same({ false, "refused" }, { by.nobody.ready, by.nobody.reason })
    assert.is_true(by.there.ready)
    assert.is_false(by.raises.ready)
    assert.matches("oops", by.raises.detail)
    assert.is_false(h.exists(dir .. "/started"))
  end)

  it("says what may be wrong with a table, and nothing of a comma where the file just ends", function()
    local code, out = flow [[return { name = "x" processes = { main = { "sleep", "1" } } }]]
    assert.equal(78, code, out)
    assert.matches("x.lua:1: '}' expected near 'processes'; a comma may be missing before it\n", out, 1, true)
    code, out = flow "return {\n  name = \"x\"\n"
    assert.equal(78, code, out)
    assert.matches("'}' expected (to close '{' at line 1) near <eof>\n", out, 1, true)
  end)

  it("refuses what is no flow, at once", function()
    for _, text in ipairs { "return 3", "return {", "while true do end", ("x"):rep(10 * 1024 * 1024),
      h.sh "head -c 100000 /dev/urandom", "", "error('no')", "return { name = 'x', processes = { main = { 'a', nil, 'c' } } }" } do
      local before = h.native.now()
      local code, out, err = flow(text)
      assert.equal(78, code, text:sub(1, 40) .. out .. err)
      assert.is_true(h.native.now() - before < 5)
      assert.matches("x.lua", out, 1, true)
    end
  end)

  it("says that there is no such flow, and the nearest", function()
    h.write(dir .. "/orders.lua", "return {}")
    local code, out = h.run { args = { "check", "--flow-name", "order", "--flows", dir } }
    assert.equal(78, code)
    assert.matches('did you mean flow "orders"', out, 1, true)
    assert.is_true(os.execute("ln -s nowhere.lua " .. dir .. "/order.lua"))
    code, out = h.run { args = { "check", "--flow-name", "order", "--flows", dir } }
    assert.equal(78, code)
    assert.matches("order.lua is a link to nothing", out, 1, true)
    code, out = h.run { args = { "run", "--flow-name", "order", "--flows", dir, "--state-dir", dir .. "/state", "--", "true" },
      env = { CONTAINER_LOG_STREAM = "stdout" } }
    assert.equal(0, code)
    assert.matches("order.lua is a link to nothing", out, 1, true)
    assert.not_matches("did you mean", out, 1, true)
  end)

  it("is good with the flows that come along", function()
    local data = h.tempdir()
    for _, name in ipairs { "rpa1", "rpa2", "rpa3", "demo" } do
      local code, out = h.run { args = { "check", "--flow-name", name }, env = {
        CONTAINER_RPA_DB_CONNECTION_STRING = "postgresql://u:pw-secret@localhost/db", CONTAINER_OUTPUT_DIR = data,
        CONTAINER_MAX_MEMORY_MB = "16", CONTAINER_MAX_CPU_PERCENT = "1" } }
      assert.equal(0, code, out)
      assert.is_nil(out:find("pw-secret", 1, true))
    end
  end)
end)
