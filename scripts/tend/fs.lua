-- fs: operations on files. In a flow they run in a helper process, since a dead mount would stop the engine; in
-- `tend script` they are direct calls.
local core = ...
local process, json = process, json

local fs = {}

local function in_helper(op, path, other, data, offset, max, timeout)
  local command = { "tend", "helper", "fs", op, path }
  if other then
    command[#command + 1] = other
  end
  if offset then
    command[#command + 1] = "--offset"
    command[#command + 1] = tostring(offset)
  end
  if max then
    command[#command + 1] = "--max"
    command[#command + 1] = tostring(max)
  end
  command.input, command.timeout, command.name = data, timeout or 30, "fs " .. op
  local done, err = process.run(command)
  if not done then
    return nil, err
  end
  if done.code ~= 0 then
    local code, message = done.output:match("([%w]+) ([^\n]*)\n?$")
    return core.fail(code or "error", message or ("fs." .. op .. ": the helper ended with " .. done.code))
  end
  if done.cut then
    return core.fail("efbig", op .. " " .. path .. ": more than a flow may read at once (64 KiB); give max, or use a script")
  end
  return done.output
end

local function call(op, path, other, data, offset, max, timeout)
  if type(path) ~= "string" or path == "" then
    error("fs." .. op .. ": expected a path, got " .. tostring(path), 3)
  end
  if core.direct then
    return core.call(op, path, other, data, offset, max)
  end
  return in_helper(op, path, other, data, offset, max, timeout)
end

local function done(result, err)
  if result then
    return true
  end
  return nil, err
end

local function decoded(text, err)
  if text then
    return json.decode(text)
  end
  return nil, err
end

function fs.stat(path)
  return decoded(call("stat", path))
end

function fs.exists(path)
  local text, err = call("stat", path)
  if text then
    return true
  end
  if err.code == "enoent" or err.code == "enotdir" then
    return false
  end
  return nil, err
end

function fs.list(path)
  local found, err = decoded(call("list", path))
  if found then
    return found.entries, found.left_out
  end
  return nil, err
end

function fs.read(path, options)
  options = options or {}
  return call("read", path, nil, nil, options.offset, options.max)
end

function fs.lines(path)
  local offset, rest, ended = 0, "", false
  return function()
    while true do
      local at = rest:find("\n", 1, true)
      if at then
        local line = rest:sub(1, at - 1)
        rest = rest:sub(at + 1)
        return line
      end
      if ended then
        local line = rest
        rest = ""
        return line ~= "" and line or nil
      end
      local piece, err = fs.read(path, { offset = offset, max = 32768 })
      if not piece then
        error(err, 2)
      end
      ended = piece == ""
      offset = offset + #piece
      rest = rest .. piece
    end
  end
end

function fs.write_atomic(path, text)
  if type(text) ~= "string" then
    error("fs.write_atomic: expected text, got " .. type(text), 2)
  end
  return done(call("write", path, nil, text))
end

function fs.append(path, text)
  if type(text) ~= "string" then
    error("fs.append: expected text, got " .. type(text), 2)
  end
  return done(call("append", path, nil, text))
end

function fs.mkdir(path)
  return done(call("mkdir", path))
end

function fs.rename(path, to)
  if type(to) ~= "string" or to == "" then
    error("fs.rename: expected a second path, got " .. tostring(to), 2)
  end
  return done(call("rename", path, to))
end

function fs.remove(path)
  return done(call("remove", path))
end

-- Options of trees: seconds, and how many entries.
local function tree_options(options, op, max_too)
  if options ~= nil and type(options) ~= "table" then
    error(("fs.%s: expected a table of options, got %s"):format(op, type(options)), 3)
  end
  for key, value in pairs(options or {}) do
    if key == "timeout" then
      if type(value) ~= "number" or value < 0 then
        error(("fs.%s.timeout: expected seconds, got %s"):format(op, tostring(value)), 3)
      end
    elseif key == "max" and max_too then
      if math.type(value) ~= "integer" or value < 1 then
        error(("fs.%s.max: expected a whole number from 1, got %s"):format(op, tostring(value)), 3)
      end
    else
      error(("fs.%s.%s: unknown option"):format(op, tostring(key)), 3)
    end
  end
  return options or {}
end

function fs.tree(path, options)
  local o = tree_options(options, "tree", true)
  local found, err = decoded(call("tree", path, nil, nil, nil, o.max, o.timeout))
  if not found then
    return nil, err
  end
  table.sort(found.entries, function(a, b)
    return a.path < b.path
  end)
  return found.entries, found.left_out + found.problems
end

function fs.usage(path, options)
  local o = tree_options(options, "usage")
  return decoded(call("usage", path, nil, nil, nil, nil, o.timeout))
end

function fs.remove_tree(path, options)
  local o = tree_options(options, "remove_tree")
  return decoded(call("remove_tree", path, nil, nil, nil, nil, o.timeout))
end

function fs.space(path)
  return decoded(call("space", path))
end

function fs.sync(path)
  return done(call("sync", path))
end

return fs
