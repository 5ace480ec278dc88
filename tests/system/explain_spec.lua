-- tend explain: the words that tend speaks, from the tables that it uses itself.
local h = require "harness"
local cjson = require "cjson"

local function explain(...)
  return h.run { args = { "explain", ... } }
end

local function topics(word, ...)
  local code, out, err = explain(word, "--json", ...)
  assert.equal(0, code, err)
  return cjson.decode(out).topics
end

describe("tend explain", function()
  it("tells an exit code, also as a sum, a signal's, and the workload's own", function()
    assert.truthy(topics("137")[1].doc:find("SIGKILL", 1, true))
    assert.same(topics "137", topics "128+9")
    assert.equal(139, topics("139")[1].code)
    assert.truthy(topics("139")[1].name:find("SIGSEGV", 1, true))
    assert.truthy(topics("42")[1].doc:find("workload's own", 1, true))
    for _, word in ipairs { "0", "255", "128+N", "64" } do assert.equal("exit_code", topics(word)[1].kind) end
    local _, out = explain "78"
    assert.truthy(out:find("78  exit code\n  Settings", 1, true))
    assert.truthy(out:find("\n  look at: validation_completed", 1, true))
  end)

  it("tells signals by any of their names, and with what a workload then ends", function()
    for _, word in ipairs { "SIGKILL", "KILL", "kill" } do
      assert.equal("signal", topics(word)[1].kind)
      assert.equal(137, topics(word)[1].code)
    end
    assert.equal(139, topics("SEGV")[1].code)
    assert.truthy(topics("RTMIN+1")[1].doc:find("main process", 1, true))
  end)

  it("tells an error of the system by its name", function()
    assert.equal("No space left on device", topics("enospc")[1].doc)
    assert.equal("ENOENT = 2", topics("ENOENT")[1].name)
  end)

  it("tells every meaning of a word", function()
    local kinds = {}
    for i, topic in ipairs(topics "stopped") do kinds[i] = topic.kind end
    assert.same({ "state", "cause", "end_reason" }, kinds)
  end)

  it("tells a setting with its value here and where that came from, never a secret one", function()
    local function setting(word, env)
      local code, out = h.run { args = { "explain", word, "--json" }, env = env }
      assert.equal(0, code)
      return cjson.decode(out).topics[1]
    end
    for _, word in ipairs { "CONTAINER_RESTART_DELAY_SECONDS", "restart_delay_seconds", "CONTAINER_RESTART_DELAY_SECONDS_FILE" } do
      local s = setting(word, { CONTAINER_RESTART_DELAY_SECONDS = "7" })
      assert.equal("7", s.value)
      assert.equal("environment", s.origin)
      assert.equal("10", s.default)
      assert.equal("CONTAINER_RESTART_DELAY_SECONDS_FILE", s.file)
      assert.truthy(s.takes:find("duration", 1, true))
    end
    local secret = setting("HTTP_TOKEN", { CONTAINER_HTTP_TOKEN = "hunter2" })
    assert.equal("***", secret.value)
    assert.is_true(secret.secret)
    local _, out = h.run { args = { "explain", "HTTP_TOKEN" }, env = { CONTAINER_HTTP_TOKEN = "hunter2" } }
    assert.is_nil(out:find("hunter2", 1, true))
    assert.equal("CONTAINER_DATABASE_<NAME>_POOL_SIZE", setting("DATABASE_STOCK_POOL_SIZE").name)
    assert.equal("CONTAINER_DATABASE_<NAME>_TIMEOUT", setting("database_a_b_timeout_file").name)
    assert.equal("9", setting("DATABASE_STOCK_POOL_SIZE", { CONTAINER_DATABASE_STOCK_POOL_SIZE = "9" }).value)
  end)

  it("tells a flow's own settings, and what the flow gives", function()
    local dir = h.tempdir()
    h.write(dir .. "/f.lua", [[
      local set = settings.declare { SIZE = { type = "integer", default = 3, doc = "How big." } }
      return { settings = { RESTART_DELAY_SECONDS = 2 }, processes = { main = { "true", tostring(set.SIZE) } } }]])
    local own = topics("F_SIZE", "--flow-name", "f", "--flows", dir)[1]
    assert.equal("How big.", own.doc)
    assert.equal("3", own.value)
    assert.equal("How big.", topics("CONTAINER_F_SIZE", "--flows", dir)[1].doc) -- the name says which flow
    local given = topics("RESTART_DELAY_SECONDS", "--flow-name", "f", "--flows", dir)[1]
    assert.equal("2", given.value)
    assert.truthy(given.origin:find("f.lua", 1, true) or given.origin:find("flow", 1, true), given.origin)
  end)

  it("tells no default of a secret", function()
    local dir = h.tempdir()
    h.write(dir .. "/f.lua", [[
      settings.declare { PIN = { default = "hunter2", secret = true, doc = "A secret." }, TOKEN = { default = "${RPA_DB_CONNECTION_STRING}" } }
      return { processes = { main = { "true" } } }]])
    for _, args in ipairs {
      { "explain", "F_PIN" }, { "explain", "F_PIN", "--json" }, { "config" }, { "config", "--json" }, { "check" }, { "check", "--json" },
    } do
      for _, more in ipairs { "--flow-name", "f", "--flows", dir } do args[#args + 1] = more end
      local code, out, err = h.run { args = args }
      assert.equal(0, code, err)
      assert.is_nil((out .. err):find("hunter2", 1, true), out .. err)
    end
    assert.equal("***", topics("F_PIN", "--flow-name", "f", "--flows", dir)[1].default)
    assert.equal("${RPA_DB_CONNECTION_STRING}", topics("F_TOKEN", "--flow-name", "f", "--flows", dir)[1].default)
  end)

  it("tells a setting of the engine that runs, which got it in another way", function()
    local p = h.spawn { args = { "run", "--flow-name", "f", "--log-level", "WARNING", "--", "sleep", "1000" }, env = { CONTAINER_HTTP_TOKEN = "hunter2" } }
    h.wait_for(function() return h.ask(p, "status") == 0 end)
    local code, out = h.ask(p, "explain", "LOG_LEVEL")
    assert.equal(0, code)
    assert.truthy(out:find("\n  here: INFO, from default\n  in the engine that runs: WARNING, from --log-level\n", 1, true), out)
    code, out = h.ask(p, "explain", "LOG_LEVEL", "--json", "--state-dir", p.env.CONTAINER_STATE_DIR)
    assert.equal(0, code)
    assert.same({ flow = "f", value = "WARNING", origin = "--log-level" }, cjson.decode(out).topics[1].running)
    out = select(2, h.ask(p, "explain", "HTTP_TOKEN"))
    assert.truthy(out:find("in the engine that runs: ***, from environment", 1, true), out)
    assert.is_nil(out:find("hunter2", 1, true))
    out = select(2, h.ask(p, "explain", "LOG_LEVEL", "--flow-name", "other"))
    assert.is_nil(out:find("engine that runs", 1, true))
  end)

  it("ends with 64 and the nearest word for what it does not know", function()
    for words, expected in pairs {
      ["dependancy_failed"] = 'did you mean "dependency_failed"', ["CONTAINER_RESTART_POLISY"] = 'did you mean "CONTAINER_RESTART_POLICY"',
      ["restart_polisy"] = 'did you mean "RESTART_POLICY"', ["refuesd"] = 'did you mean "refused"', ["300"] = "exit codes are 0 to 255",
      ["99999999999999999999"] = "exit codes", ["128+99"] = "nothing is called", [""] = 'nothing is called ""', ["-1"] = "unknown option",
      ["zzzzzzzzzzz"] = "tend explain lists all", ["a\27[31mb\r\n\1"] = 'called "a?[31mb???"', ["\xff\xfe"] = 'called "??"',
      [("x"):rep(100000)] = "xxx...", ["exit code"] = "nothing is called", ["%s%n"] = "nothing is called", ["*"] = '"*"; tend explain lists all',
    } do
      local code, out, err = explain(words)
      assert.equal(64, code, words:sub(1, 50))
      assert.equal("", out)
      assert.truthy(err:find(expected, 1, true), err:sub(1, 300))
      assert.equal(1, select(2, err:gsub("\n", "\n")), "one line")
      assert.is_true(#err < 300)
      assert.is_nil(err:sub(1, -2):find("[%c\128-\255]"))
    end
    local code, _, err = explain("137", "oom")
    assert.equal(64, code)
    assert.truthy(err:find('unexpected argument "oom"', 1, true))
  end)

  it("lists all there is, each of which it then explains", function()
    local code, out = explain()
    assert.equal(0, code)
    local n = 0
    for name, doc in out:gmatch "\n  (%S+) +(%C+)" do
      n = n + 1
      assert.is_true(#doc > 3, name)
      if n % 12 == 0 then assert.equal(0, (explain(name)), name) end
    end
    assert.is_true(n > 150)
    local _, json = explain "--json"
    assert.is_true(#cjson.decode(json).topics >= n)
  end)
end)

it("tend explain says when it cannot say it", function()
  for _, word in ipairs { "", " 78" } do -- longer and shorter than what is written at once
    local out, code = h.sh(h.quote(h.tend) .. " explain" .. word .. " > /dev/full")
    assert.equal(73, code)
    assert.truthy(out:find("standard output: ", 1, true))
  end
end)
