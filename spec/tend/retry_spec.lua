local half = require "spec.tend.half"

describe("retry", function()
  local retry, now, slept

  before_each(function()
    now, slept = 100, {}
    retry = half("retry", {}, {
      clock = { monotonic = function() return now end },
      timer = {
        sleep = function(seconds)
          slept[#slept + 1] = seconds
          now = now + seconds
        end,
      },
    })
  end)

  local function failing(n)
    local calls = 0
    return function(...)
      calls = calls + 1
      if calls <= n then
        return nil, "failure " .. calls
      end
      return "well", calls, ...
    end
  end

  it("calls until it succeeds, with growing pauses", function()
    local value, calls, argument = retry { attempts = 5, delay = 1, jitter = 0 } (failing(3), "x")
    assert.same({ "well", 4, "x" }, { value, calls, argument })
    assert.same({ 1, 2, 4 }, slept)
    assert.equal(107, now)
  end)

  it("pauses not at all after success, and gives the last failure in the end", function()
    assert.equal("well", (retry {} (failing(0))))
    assert.same({}, slept)
    local value, err = retry.run({ attempts = 3, jitter = 0 }, failing(9))
    assert.same({ nil, "failure 3" }, { value, err })
    assert.same({ 1, 2 }, slept)
  end)

  it("keeps pauses below the longest and each within the jitter", function()
    retry { attempts = 6, delay = 1, backoff = 10, max_delay = 20, jitter = 0.5 } (failing(9))
    for i, most in ipairs { 1, 10, 20, 20, 20 } do
      assert.is_true(slept[i] >= most * 0.5 and slept[i] <= most * 1.5, slept[i])
    end
    assert.equal(5, #slept)
  end)

  it("begins no attempt after its time", function()
    local value, err = retry { attempts = 100, delay = 1, backoff = 1, jitter = 0, timeout = 3.5 } (failing(100))
    assert.same({ nil, "failure 4" }, { value, err })
    assert.same({ 1, 1, 1 }, slept)
  end)

  it("lets errors through", function()
    local calls = 0
    assert.has_error(function() retry {} (function() calls = calls + 1; error("oops", 0) end) end, "oops")
    assert.equal(1, calls)
  end)

  it("refuses options that are wrong", function()
    for message, o in pairs {
      ["retry.attemts: unknown option"] = { attemts = 1 }, ["retry.attempts: expected a whole"] = { attempts = 0 },
      ["retry.delay: expected seconds"] = { delay = -1 }, ["retry.backoff: expected"] = { backoff = 0.5 },
      ["retry.jitter: expected"] = { jitter = 2 },
    } do
      local ok, err = pcall(function() local again = retry(o) return again end)
      assert.is_false(ok)
      assert.truthy(err:find(message, 1, true), err)
      assert.truthy(err:find("retry_spec.lua:", 1, true), err)
    end
  end)
end)
