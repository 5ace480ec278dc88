package.path = "./flows/?.lua;" .. package.path

describe("jobs.link", function()
  local link, store, now, stopping, told, opened, closed

  before_each(function()
    now, stopping, told, opened, closed = 0, false, {}, 0, 0
    _G.clock = { monotonic = function() return now end }
    _G.timer = { sleep = function(s) now = now + s end }
    _G.signal = { stopping = function() return stopping end }
    _G.log = { warning = function(_, fields) told[#told + 1] = fields end }
    package.loaded["jobs.link"], package.loaded["jobs.store"] = nil, nil
    link, store = require "jobs.link", require "jobs.store"
  end)

  teardown(function() _G.clock, _G.timer, _G.signal, _G.log = nil, nil, nil, nil end)

  local function new(retries)
    return link.new { who = "x", max_retries = retries, open = function()
      opened = opened + 1
      return { close = function() closed = closed + 1 end }
    end }
  end

  local function refused() store.fail { code = "refused", message = "refused" } end

  it("opens one store for all that goes well", function()
    local l = new(3)
    assert.equal(1, l:run({}, function() return 1 end))
    assert.equal(false, l:run({}, function() return false end))
    assert.equal(1, opened)
    l:close()
    l:close()
    assert.equal(1, closed)
  end)

  it("does it again on a new store, with growing delays, where the failure passes", function()
    local n, l = 0, new(3)
    assert.equal("done", l:run({ file = "a" }, function()
      n = n + 1
      if n < 4 then refused() end
      return "done"
    end))
    assert.equal(4, opened)
    assert.same({ 1, 2, 4 }, { told[1].delay_s, told[2].delay_s, told[3].delay_s })
    assert.same({ "a", "refused", 3 }, { told[1].file, told[1].error, told[3].attempt })
    assert.is_true(now > 6.9 and now < 7.2)
  end)

  it("gives up after so many tries, and at once what does not pass", function()
    local ok, failure = pcall(new(2).run, new(2), {}, refused)
    assert.is_false(ok)
    assert.is_true(store.passes(failure))
    assert.equal(3, opened)
    ok, failure = pcall(new(2).run, new(2), {}, function() store.fail { code = "query", sqlstate = "42P01", message = "no table" } end)
    assert.is_false(ok)
    assert.is_falsy(store.passes(failure))
    assert.equal("no table", tostring(failure))
    assert.equal(4, opened)
    assert.equal(opened, closed)
  end)

  it("ends with a stop", function()
    stopping = true
    assert.is_nil(new(3):run({}, refused))
    assert.equal(0, now)
    link.pause(10)
    assert.equal(0, now)
  end)

  it("knows what passes by the database's words and classes", function()
    for state, passes in pairs { ["40001"] = true, ["57P01"] = true, ["08006"] = true, ["55P03"] = true, ["23505"] = false } do
      local _, failure = pcall(store.fail, { code = "query", sqlstate = state, message = "m" })
      assert.equal(passes, store.passes(failure) and true or false, state)
    end
    assert.is_falsy(store.passes "a mistake")
  end)
end)
