-- busted's output as TAP, one plan at the end; any error, also one outside a test (a file that does not
-- parse, a failing setup), is a failed test of its own, so nothing can fail unseen.
return function()
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local count = 0

  local function comment(text)
    io.write("# ", (tostring(text):gsub("\n", "\n# ")), "\n")
  end

  local function result(ok, name, note)
    count = count + 1
    io.write(ok and "ok " or "not ok ", count, " - ", (tostring(name):gsub("[\n#]", " ")), note or "", "\n")
  end

  local told = {} -- failures and errors that have their line

  local function failed(t)
    told[t] = true
    result(false, t.name)
    local message = t.message
    if type(message) == "table" and message.message then message = message.message end
    comment(type(message) == "string" and message or require("pl.pretty").write(message))
    if t.trace and t.trace.traceback then comment(t.trace.traceback) end
  end

  local function test_end(_, _, status)
    if status == "success" then
      result(true, handler.successes[#handler.successes].name)
    elseif status == "pending" then
      local t = handler.pendings[#handler.pendings]
      local reason = type(t.message) == "string" and t.message or "no reason given"
      result(true, t.name, " # SKIP " .. reason:gsub("^[^ ]+:%d+: ", ""):gsub("\n", " "))
    elseif status == "failure" then
      failed(handler.failures[#handler.failures])
    else
      failed(handler.errors[#handler.errors])
    end
    io.flush()
    return nil, true
  end

  local function error_elsewhere(element)
    if element.descriptor ~= "it" then failed(handler.errors[#handler.errors]) end
    io.flush()
    return nil, true
  end

  local function suite_end()
    -- what busted counts, and therefore ends with, has a line, whatever it was published as
    for _, list in ipairs { handler.failures, handler.errors } do
      for _, t in ipairs(list) do
        if not told[t] then failed(t) end
      end
    end
    io.write("1..", count, "\n")
    io.flush()
    return nil, true
  end

  busted.subscribe({ "test", "end" }, test_end)
  busted.subscribe({ "error" }, error_elsewhere)
  busted.subscribe({ "failure" }, error_elsewhere)
  busted.subscribe({ "suite", "end" }, suite_end)
  return handler
end
