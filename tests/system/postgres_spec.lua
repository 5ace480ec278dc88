-- The private server that other tests lean on.
local h = require "harness"
local postgres = require "postgres"

describe("the private PostgreSQL", function()
  it("answers on its socket and on 127.0.0.1, and wants the password", function()
    local db = postgres.start()
    assert.equal("1", db:sql "select 1")
    local out, code = h.sh("psql -X -A -t -c 'select 2' " .. h.quote(db:uri()))
    assert.equal(0, code)
    assert.equal("2\n", out)
    out, code = h.sh("psql -X -c 'select 2' " .. h.quote(db:uri { password = "wrong" }))
    assert.not_equal(0, code)
    assert.truthy(out:find("password authentication failed", 1, true))
  end)

  it("is stopped, killed and started again with its data", function()
    local db = postgres.start()
    db:sql "create table t (a int); insert into t values (5); checkpoint"
    db:stop()
    assert.has_error(function() db:sql "select 1" end)
    db:restart()
    assert.equal("5", db:sql "select a from t")
    db:kill()
    db:restart()
    assert.equal("5", db:sql "select a from t")
    db:suspend()
    db:resume()
    assert.equal("5", db:sql "select a from t")
  end)
end)
