local half = require "spec.tend.half"

describe("postgres", function()
  local log, answers, connections, postgres

  before_each(function()
    log, answers, connections = {}, {}, {}
    local core = {
      fail = function(code, message)
        return nil, { code = code, message = message }
      end,
      connection = function(name)
        if name == "rpa_db" then
          return "postgresql://h/db", 7
        end
        return nil, name == "empty" and "CONTAINER_DATABASE_EMPTY_CONNECTION_STRING" or nil
      end,
      connect = function(connection, timeout)
        connections[#connections + 1] = { connection, timeout }
        if connection:find("down", 1, true) then
          return nil, { code = "refused" }
        end
        return {
          query = function(_, sql, params, timeout_s)
            log[#log + 1] = sql
            local answer = answers[sql]
            if answer and answer.err then
              return nil, answer.err
            end
            return { { sql = sql, n = params.n, timeout = timeout_s } }, answer and answer.affected or -1, answer and answer.tag or sql
          end,
          close = function()
            log[#log + 1] = "closed"
          end,
        }
      end,
    }
    postgres = half("postgres", core)
  end)

  it("knows a database by name, connection string or table", function()
    assert(postgres.query("rpa_db", "a"))
    assert(postgres.query("host=x dbname=y", "b"))
    assert(postgres.query({ name = "rpa_db", timeout = 2 }, "c"))
    assert.same({ { "postgresql://h/db", 7 }, { "host=x dbname=y", 10 }, { "postgresql://h/db", 2 } }, connections)
    assert.same({ "a", "closed", "b", "closed", "c", "closed" }, log)
    local _, err = postgres.query("none", "a")
    assert.matches("CONTAINER_DATABASE_NONE_CONNECTION_STRING", err.message)
    _, err = postgres.query("empty", "a")
    assert.matches("EMPTY_CONNECTION_STRING has no value", err.message)
    assert.same({ nil, { code = "refused" } }, { postgres.query("host=down", "a") })
    assert.error_matches(function() postgres.query(5, "a") end, "expected a database's name")
    assert.error_matches(function() postgres.query("rpa_db") end, "expected a statement")
  end)

  it("counts parameters with nils, and affected rows", function()
    assert.equal(3, postgres.query("rpa_db", "q", 1, nil, nil)[1].n)
    answers.u = { affected = 4 }
    assert.equal(4, postgres.execute("rpa_db", "u"))
    assert.equal(0, postgres.execute("rpa_db", "ddl"))
    assert.equal(5, postgres.query({ name = "rpa_db", query_timeout = 5 }, "q")[1].timeout)
  end)

  it("commits what returns, rolls back what fails", function()
    assert.same({ 1, "two" }, { postgres.transaction("rpa_db", function(s) s:execute("x") return 1, "two" end) })
    assert.same({ "BEGIN", "x", "COMMIT", "closed" }, log)
    log = {}
    assert.is_true(postgres.transaction("rpa_db", function() end))
    log = {}
    assert.same({ nil, "why" }, { postgres.transaction("rpa_db", function() return nil, "why" end) })
    assert.same({ "BEGIN", "ROLLBACK", "closed" }, log)
    log = {}
    assert.has_error(function() postgres.transaction("rpa_db", function() error("e", 0) end) end, "e")
    assert.same({ "BEGIN", "ROLLBACK", "closed" }, log)
    answers.COMMIT = { tag = "ROLLBACK" } -- the server's answer after a failed statement
    local none, err = postgres.transaction("rpa_db", function() return 1 end)
    assert.is_nil(none)
    assert.matches("rolled back", err.message)
    log, answers.COMMIT = {}, { err = { code = "closed" } }
    assert.same({ nil, { code = "closed" } }, { postgres.transaction("rpa_db", function() return 1 end) })
  end)
end)
