local half = require "spec.tend.half"

describe("lifecycle", function()
  local added, lifecycle, written, report

  before_each(function()
    added, written, report = {}, nil, { startup_count = 1 }
    lifecycle = half("lifecycle", {
      register = function(list, entry)
        added[#added + 1] = { list, entry }
      end,
    }, {
      process = {
        ask = function(what)
          if what == "report" and not report then
            return nil, "no engine"
          end
          return what == "report" and report or { what = what }
        end,
      },
      fs = {
        write_atomic = function(path, text)
          written = { path, text }
          return path ~= "/full", path == "/full" and "disk is full" or nil
        end,
      },
      json = {
        encode = function(value)
          return "json of " .. value.startup_count
        end,
      },
    })
  end)

  it("takes a check under the specification's names and the short ones", function()
    local fn = function() end
    lifecycle.add_dependency_check { name = "a", check_function = fn, timeout_seconds = 30, required = true, description = "d" }
    lifecycle.add_dependency_check { name = "b", fn = fn, timeout = 3 }
    lifecycle.add_dependency_check { name = "c", check = fn }
    assert.same({ "dependencies", { name = "a", check = fn, timeout = 30, required = true, description = "d" } }, added[1])
    assert.same({ "dependencies", { name = "b", check = fn, timeout = 3 } }, added[2])
    assert.same({ "dependencies", { name = "c", check = fn } }, added[3])
  end)

  it("names what has no name", function()
    local fn = function() end
    lifecycle.add_cleanup_handler(fn)
    lifecycle.add_cleanup_handler { handler = fn, critical = true }
    lifecycle.add_dependency_check(fn)
    assert.same({ "cleanup", { name = "added_handler_1", run = fn } }, added[1])
    assert.same({ "cleanup", { name = "added_handler_2", run = fn, critical = true } }, added[2])
    assert.same({ "dependencies", { name = "added_dependency_1", check = fn } }, added[3])
  end)

  it("refuses what is no check", function()
    assert.has_error(function() lifecycle.add_dependency_check(5) end,
      "lifecycle.add_dependency_check: expected a function or a table, got number")
    assert.has_error(function() lifecycle.add_dependency_check { name = "x" } end,
      "lifecycle.add_dependency_check: a function is missing: check = function() … end")
    assert.error_matches(function() lifecycle.add_cleanup_handler { run = print, fn = print } end, "given twice, under two names")
    assert.same({}, added)
  end)

  it("takes a check of a built-in kind", function()
    lifecycle.add_dependency_check { name = "t", kind = "tcp", params = { host = "h", port = 1 } }
    assert.equal("tcp", added[1][2].kind)
  end)

  it("gives metrics, and writes the report where asked", function()
    assert.same({ what = "metrics" }, lifecycle.get_lifecycle_metrics())
    assert.equal(report, lifecycle.export_lifecycle_report())
    assert.is_nil(written)
    assert.equal(report, lifecycle.export_lifecycle_report("/x"))
    assert.same({ "/x", "json of 1\n" }, written)
    assert.same({ nil, "disk is full" }, { lifecycle.export_lifecycle_report("/full") })
    report = nil
    assert.same({ nil, "no engine" }, { lifecycle.export_lifecycle_report("/x") })
  end)
end)
