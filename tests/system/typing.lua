-- Types what a page tells to type, in a sandbox (pages.lua): each command must end with 0 and, where the page shows it, print
-- what is shown; a flow that a page shows is written to the file that it names. What may be said of a page, and what is not the
-- rule for a command: pages_spec.lua.
local assert = require "luassert"
local h = require "harness"
local pages = require "pages"

local typing = {}

-- What is not the rule for a command: its text in the list, and the entry.
local function exception_of(list, text)
  for key, entry in pairs(list or {}) do
    local prefix = key:match "^(.*)…$"
    if key == text or prefix and text:sub(1, #prefix) == prefix then return key, entry end
  end
  return text, {}
end

-- A reader who asks what runs looks again when it has not come yet.
local ASKS = { status = true, why = true, health = true, events = true, logs = true, repl = true }

local function as_told(command, given, code, out)
  return code == (given.code or 0) and (not command.shape or pages.same_shape(command.shape, out))
end

local function type_it(box, page, block, command, given)
  local function type_once()
    local code, out = box:type(command.text)
    return code, box:outside(out)
  end
  local code, out = type_once()
  if ASKS[command.text:match "^%S*tend (%l+)"] and box.running then
    local stop = h.native.now() + 10 * h.slow
    while not as_told(command, given, code, out) and h.native.now() < stop do code, out = type_once() end
  end
  local where = ("%s:%d: %s\n%s"):format(page, block.line, command.text, out)
  assert.equal(given.code or 0, code, where)
  if command.shape then
    local function of_flow() return box:outside(box.running.out .. box.running.err) end
    if box.running and not box.running:ended() and of_flow() == out then
      h.wait_for(function() return pages.same_shape(command.shape, of_flow()) end, 10, where)
    else
      local same, line = pages.same_shape(command.shape, out)
      assert.is_true(same, ("%s\ndoes not print: %s"):format(where, tostring(line)))
    end
  end
end

-- A piece of a flow, as a page shows it, is accepted by the checker.
local function check_lua(box, block)
  local text = block.text
  if block.file then return box:write(block.file, text) end
  local whole = text:find "^return" or text:find "\nreturn"
  if not whole then
    text = text:find "^restart" and "processes = { main = { 'true', " .. text .. "} }" or text
    text = text:find "^checks" and "processes = { main = 'true' }, " .. text or text
    text = "return {" .. text:gsub("main = { 'true', ", "main = { command = { 'true' }, ") .. "}"
  end
  box:write("flows/piece.lua", text)
  local code, out = box:type "CONTAINER_ENVIRONMENT=test tend check --flow-name piece"
  assert.equal(0, code, ("%s:%d: %s"):format(block.page, block.line, out))
end

--- Types all of it; the sandbox, in which nothing runs any more.
function typing.page(page, given)
  local used = {}
  local box = pages.sandbox(given.env)
  if given.before then given.before(box) end
  for _, block in ipairs(pages.blocks(page)) do
    if block.kind == "lua" then
      check_lua(box, block)
    elseif block.kind == "sql" then
      box.db:sql(block.text)
    elseif block.kind == "sh" then
      for _, command in ipairs(pages.commands(block)) do
        local key, exception = exception_of(given.commands, command.text)
        used[key] = true
        if not exception.test then type_it(box, page, block, command, exception) end
      end
    end
  end
  local code, out = box:finish()
  assert.is_true(code == nil or code == 0, out)
  for text, exception in pairs(given.commands or {}) do
    assert.is_true(used[text], page .. " has no longer: " .. text)
    if exception.test then
      assert.is_true(#exception.why > 10)
      local test = h.read(exception.test)
      assert.truthy(test and test:find(exception.says, 1, true), exception.test .. " does not do it: " .. text)
    end
  end
  return box
end

return typing
