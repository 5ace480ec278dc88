-- The stubs of probes, from which docs/lua-api.md is made, against the kinds: parameters as their tables declare them, facts as
-- an attempt gives them.
local h = require "harness"
local cjson = require "cjson"
local web = require "web"
local postgres = require "postgres"

local text = h.read "scripts/tend/_meta/probe.lua"

-- function → { doc, params = name → "required"|"optional" }
local stubs = {}
do
  local classes = {}
  for class, block in text:gmatch "%-%-%-@class (%S+)\n(.-)\n\n" do
    classes[class] = {}
    for name, optional in block:gmatch "%-%-%-@field ([%w_]+)(%??)" do classes[class][name] = optional == "?" and "optional" or "required" end
  end
  for block, name in text:gmatch "\n\n(%-%-%-[^\n]*\n[^\n].-)\nfunction probe%.([%w_]+)%(params%) end" do
    block = block:match ".*\n\n(.*)$" or block
    local type_ = block:match "@param params ([^\n]+)"
    local params = classes[type_]
    if not params then
      params = {}
      for key, optional in type_:gmatch "([%w_]+)(%??): " do params[key] = optional == "?" and "optional" or "required" end
    end
    local facts = {}
    for word in (block:gsub("\n%-%-%-", " "):match "Facts[%w ']*: (.-) @async" or ""):gmatch "`([%w_]+)`" do facts[word] = true end
    stubs[name] = { params = params, facts = facts }
  end
end

-- kind → name → "required"|"optional", of the C tables
local function kinds()
  local list = {}
  for path in h.sh("ls engine/probes/*.c engine/parts/*_probe.c"):gmatch "%S+" do
    local source = h.read(path)
    for body in source:gmatch "struct tend_probe_kind [%w_]+ = (%b{})" do
      local kind, params = body:match '%.name = "([%w_]+)"', body:match "%.params = ([%w_]+)"
      list[kind] = {}
      for name, required in source:match("struct tend_param " .. params .. "%[%] = (%b{})"):gmatch '{"([%w_]+)", TEND_%u+, (%l+)' do
        list[kind][name] = required == "true" and "required" or "optional"
      end
    end
  end
  return list
end

describe("the stubs of probes", function()
  it("have every kind and its parameters, and no others", function()
    local n = 0
    for kind, params in pairs(kinds()) do
      n = n + 1
      params.timeout = "optional"
      assert.is_table(stubs[kind], "no stub: probe." .. kind)
      assert.same(params, stubs[kind].params, kind)
    end
    assert.is_true(n >= 11)
    for name in pairs(stubs) do assert.is_table(kinds()[name], "no kind: " .. name) end
  end)

  it("have every fact that a good attempt finds, and no others", function()
    local listener = h.listen()
    local dir = h.tempdir()
    local asked = {
      { "tcp", { host = "127.0.0.1", port = listener.port } }, { "dns", { host = "127.0.0.1" } }, { "file", { path = "/etc/passwd" } },
      { "directory", { path = "/" } }, { "command", { command = "echo hello" } }, { "process", { pid_file = dir .. "/pid" } },
      { "resource", { cpus = 1, memory_mb = 1, disk_mb = 1, descriptors = 8, connections = 1000000 } }, { "usage", { of = "memory", fail = 100 } },
      { "usage", { of = "oom_kills", fail = 1000000 } },
    }
    h.write(dir .. "/pid", h.native.getpid() .. "\n")
    if not web.missing() then asked[#asked + 1] = { "http", { url = web.start():url "/status/200" } } end
    if not postgres.missing() then asked[#asked + 1] = { "postgres", { conninfo = postgres.start():uri(), pool = 2 } } end
    local script = h.write(dir .. "/ask.lua", [[
      for _, a in ipairs(json.decode(fs.read(...))) do
        local r = probe.run(a[1], a[2])
        local names = {}
        for name in pairs(r.data or {}) do names[#names + 1] = name end
        log.info("asked", { kind = a[1], ok = r.ok, detail = r.detail, names = names })
      end]])
    local p = h.spawn { args = { "script", script, h.write(dir .. "/asked.json", cjson.encode(asked)) } }
    assert.equal(0, (p:wait(30)))
    local seen = {}
    local told = p:events "message"
    assert.equal(#asked, #told)
    for _, event in ipairs(told) do
      local d = event.details
      assert.is_true(d.ok or d.detail:find("not known here", 1, true) ~= nil, d.kind .. ": " .. tostring(d.detail))
      seen[d.kind] = seen[d.kind] or {}
      for _, name in ipairs(d.names) do
        assert.is_true(stubs[d.kind].facts[name], d.kind .. " finds " .. name .. ", which its stub does not tell")
        seen[d.kind][name] = true
      end
    end
    for kind, names in pairs(seen) do
      -- of usage some are missing on some systems, of process those of the plan's own
      if kind ~= "usage" and kind ~= "process" then assert.same(stubs[kind].facts, names, kind) end
    end
  end)
end)

describe("the stubs of all modules", function()
  local files = h.sh "ls scripts/tend/_meta"

  local function read_all(patterns)
    local texts = {}
    for path in h.sh("ls " .. patterns):gmatch "%S+" do texts[#texts + 1] = h.read(path) end
    return table.concat(texts, "\n")
  end

  -- The modules that scripts find, as the program lists them.
  local function modules()
    local list = {}
    for name in h.read("engine/lua/vm.c"):match("} modules%[%] = (%b{})"):gmatch '{"([%w_]+)", l_open_' do list[#list + 1] = name end
    assert(#list > 20)
    return list
  end

  it("are there for each module, and in the page", function()
    local page = h.read "docs/lua-api.md"
    for _, name in ipairs(modules()) do
      assert.is_true(files:find(name .. ".lua", 1, true) ~= nil, name .. " has no stub")
      assert.is_true(page:find("\n## " .. name .. "\n", 1, true) ~= nil, name .. " is not in docs/lua-api.md")
    end
  end)

  -- Both directions: docs/generate.lua, in the program itself, looks at each table and handle.
  it("name what a script finds, and nothing else", function()
    local dir = h.tempdir()
    local code, out, err = h.run { args = { "script", "docs/generate.lua", dir } }
    assert.equal(0, code, out .. err)
    assert.equal(h.read "docs/lua-api.md", h.read(dir .. "/lua-api.md"))
  end)

  it("are of functions of which each is named in a spec", function()
    local specs = read_all "tests/system/*_spec.lua tests/unit/*.c spec/*/*.lua tests/container/*_spec.lua"
    local n = 0
    for object, separator, name in ("\n" .. read_all "scripts/tend/_meta/*.lua"):gmatch "\nfunction ([%w_.]+)([.:])([%w_]+)%(" do
      n = n + 1
      local pattern = (separator == "." and object:gsub("%.", "%%.") .. "%." or ":") .. name .. "%f[^%w_]"
      assert.is_true(specs:find(pattern) ~= nil, "no spec names " .. object .. separator .. name)
    end
    assert.is_true(n > 120)
  end)

  it("say of each function what it does, and of each failure that it is one", function()
    for path in h.sh("ls scripts/tend/_meta/*.lua"):gmatch "%S+" do
      for block, signature in ("\n" .. h.read(path)):gmatch "\n\n(%-%-%-[^\n]*\n[^\n].-)\nfunction ([%w_.:]+%b()) end" do
        block = block:match ".*\n\n(.*)$" or block
        assert.is_true(block:find "^%-%-%-[^@]" ~= nil, path .. ": not a word about " .. signature)
        for returned in block:gmatch "@return (tend%.error%?[^\n]*)" do
          assert.is_true(returned:find "^tend%.error%? err" ~= nil, path .. ": " .. signature .. ": name the error")
        end
      end
    end
  end)
end)
