package.path = "./flows/?.lua;" .. package.path
local cjson = require "cjson"

describe("jobs.cache", function()
  local cache, files, now, warnings, broken

  before_each(function()
    files, now, warnings, broken = {}, 1000, 0, nil
    _G.json = {
      encode = cjson.encode,
      decode = function(text)
        local ok, value = pcall(cjson.decode, text)
        if ok then return value end
        return nil, { code = "json", message = value }
      end,
    }
    _G.clock = { now = function() return now end }
    _G.log = { warning = function() warnings = warnings + 1 end }
    _G.fs = {
      read = function(path)
        if broken then return nil, broken end
        if not files[path] then return nil, { code = "enoent", message = "none" } end
        return files[path]
      end,
      append = function(path, text)
        if broken then return nil, broken end
        files[path] = (files[path] or "") .. text
        return true
      end,
      write_atomic = function(path, text)
        files[path] = text
        return true
      end,
    }
    package.loaded["jobs.cache"] = nil
    cache = require "jobs.cache"
  end)

  teardown(function() _G.json, _G.clock, _G.log, _G.fs = nil, nil, nil, nil end)

  local function open() return cache.open { dir = "/c", max_age = 100, who = "x" } end

  it("keeps verdicts for their time", function()
    local c = open()
    c:put("a1", true)
    c:put("b2", false, "why")
    c:flush()
    c = open()
    assert.same({ true }, { c:get "a1" })
    assert.same({ false, "why" }, { c:get "b2" })
    assert.is_nil((c:get "a2"))
    now = 1101
    assert.is_nil((c:get "a1"))
    now = 0 -- the clock was set back
    assert.is_nil((c:get "b2"))
  end)

  it("goes on where its files are torn or strange", function()
    files["/c/verdicts-a.jsonl"] = '["a1",1000,true]\n{}\n[1,2]\nnull\n\0\n["a2",1000,fal'
    local c = open()
    assert.is_true((c:get "a1"))
    c:put("a3", false, "r")
    c:flush()
    c = open()
    assert.is_true((c:get "a1"))
    assert.is_nil((c:get "a2"))
    assert.is_false((c:get "a3"))
  end)

  it("is bounded, and loses the older half", function()
    local c = open()
    for i = 1, 4000 do
      now = 1000 + i / 100
      c:put(("a%d"):format(i), false, ("r"):rep(900))
      if i % 50 == 0 then c:flush() end
    end
    local size = #files["/c/verdicts-a.jsonl"]
    assert.is_true(size <= 1024 * 1024, tostring(size))
    c = open()
    assert.is_false((c:get "a4000"))
    assert.is_nil((c:get "a1"))
    c:put("a", false, ("r"):rep(5000)) -- too long to be kept
    assert.is_nil((c:get "a"))
  end)

  it("is done without where the disk fails, told once", function()
    broken = { code = "eacces", message = "no" }
    local c = open()
    assert.is_nil((c:get "a1"))
    assert.is_nil((c:get "b1"))
    c:put("a1", true)
    c:flush()
    assert.equal(1, warnings)
  end)
end)
