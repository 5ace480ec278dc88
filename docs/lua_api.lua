-- Writes docs/lua-api.md from the stubs in scripts/tend/_meta: tend script docs/lua_api.lua [OUT | --check]. Also compares the stubs
-- with what scripts really find: a function without a stub, or a stub without its function, is an error.
local check = ... == "--check"
local meta, page = "scripts/tend/_meta", not check and ... or "docs/lua-api.md"
local modules = {
  "settings", "lifecycle", "process", "probe", "postgres", "http", "net", "dns", "fs", "timer", "retry", "signal", "metrics", "log", "json", "clock",
}
local problems = {}

local function problem(text, ...)
  problems[#problems + 1] = text:format(...)
end

-- A stub as a list of entries { kind = "class" | "function" | "alias", doc = lines, … }.
local function parse(path)
  local entries, doc, annotations = {}, {}, {}
  local function add(entry)
    entry.doc, entry.annotations = doc, annotations
    entries[#entries + 1] = entry
  end
  local function reset()
    doc, annotations = {}, {}
  end
  for line in fs.lines(path) do
    local annotation, text = line:match("^%-%-%-@(%S+)%s*(.*)$")
    local signature = line:match("^function (.+) end$")
    if annotation and annotation ~= "meta" then
      annotations[#annotations + 1] = { annotation, text }
    elseif line:match("^%-%-%-") then
      doc[#doc + 1] = line:sub(4)
    elseif signature then
      add { kind = "function", signature = signature }
      reset()
    elseif line == "" or line:match("= {}$") then
      if #annotations > 0 then
        add { kind = "class" }
      end
      reset()
    end
  end
  if #annotations > 0 then
    add { kind = "class" }
  end
  return entries
end

local function find(entry, name)
  for _, annotation in ipairs(entry.annotations) do
    if annotation[1] == name then
      return annotation[2]
    end
  end
end

local out = {}

local function emit(text, ...)
  out[#out + 1] = select("#", ...) > 0 and text:format(...) or text
end

-- "name? type words" → name, type, words; types may hold spaces inside brackets and after a comma or colon.
local function split(text)
  local name, rest = text:match("^(%S+)%s+(.*)$")
  if name == "[integer]" then
    name = "[n]"
  end
  local depth, i = 0, 1
  while i <= #rest do
    local c = rest:sub(i, i)
    if c:match("[%(%[{<]") then
      depth = depth + 1
    elseif c:match("[%)%]}>]") then
      depth = depth - 1
    elseif c == " " and depth == 0 and not rest:sub(i - 1, i - 1):match("[,:]") then
      break
    end
    i = i + 1
  end
  return name, rest:sub(1, i - 1), rest:sub(i + 1)
end

local function emit_fields(entry, kind, head)
  local first = true
  for _, annotation in ipairs(entry.annotations) do
    if annotation[1] == kind then
      if first and head then
        emit(head)
      end
      first = false
      local name, type_, words = split(annotation[2])
      emit("- `%s`: `%s`%s", name, type_, words ~= "" and " " .. words or "")
    end
  end
  if not first then
    emit("")
  end
end

local function emit_function(entry)
  emit("### %s", entry.signature)
  emit("")
  for _, line in ipairs(entry.doc) do
    emit(line)
  end
  if find(entry, "async") then
    emit("Waits.")
  end
  if #entry.doc > 0 or find(entry, "async") then
    emit("")
  end
  emit_fields(entry, "param")
  local returns = {}
  for _, annotation in ipairs(entry.annotations) do
    if annotation[1] == "return" then
      local type_, name, words = split("x " .. annotation[2])
      type_, words = name, words
      returns[#returns + 1] = ("`%s`%s"):format(type_, words ~= "" and " " .. words or "")
    end
  end
  if #returns > 0 then
    emit("Returns %s.", table.concat(returns, "; "))
    emit("")
  end
end

local function emit_class(entry)
  local class = find(entry, "class")
  if class then
    emit("### %s", class)
    emit("")
  end
  for _, line in ipairs(entry.doc) do
    emit(line)
  end
  if #entry.doc > 0 then
    emit("")
  end
  local alias = find(entry, "alias")
  if alias then
    emit("`%s` is %s", alias:match("^(%S+) (.*)$"))
    emit("")
  end
  emit_fields(entry, "field")
end

emit "# The Lua API"
emit ""
emit "Generated from scripts/tend/_meta (`make docs`); an editor with the Lua language server reads the same stubs."
emit ""
emit "What a flow file, a policy or a `tend script` finds as globals, besides Lua's own `assert error ipairs next pairs pcall select"
emit "tonumber tostring type xpcall load require setmetatable …`, `string table math utf8 coroutine`, and `os.time clock date"
emit "difftime`. There is no `io`, `debug`, `os.execute`, no bytecode and no `__gc`; a global that is not there raises. This is a"
emit "guard rail for people who make mistakes, not a wall against attackers: a flow file is trusted like any program."
emit ""
emit "What *waits* may be called in a task only: a check, a handler, a hook, a timer's function, a script; not while a flow file"
emit "loads, and not inside a coroutine of your own, a sort comparator or a gsub function. A task that is cancelled or late gets an"
emit "error out of the call that waits (`<close>` variables are closed, `pcall` sees it, every later wait raises at once). A task"
emit "uses at most 1 s of CPU, in slices of 50 ms; a flow file has 500 ms to load; all scripts together have 64 MiB. A `tend"
emit "script` may compute as long as it likes and has 1 GiB."
emit ""
emit "Times are seconds. A failure of the world gives `nil, err`; a mistake of the caller raises and names the key."
emit ""

local function emit_file(name)
  local entries = parse(meta .. "/" .. name .. ".lua")
  emit("## %s", name)
  emit("")
  local documented = {}
  for _, entry in ipairs(entries) do
    if entry.kind == "function" then
      emit_function(entry)
      local fn = entry.signature:match("^" .. name .. "%.([%w_]+)%(")
      if fn then
        documented[fn] = true
      end
    elseif find(entry, "class") == name then
      entry.annotations[1][1] = "module"
      emit_class(entry)
    else
      emit_class(entry)
    end
  end
  return documented
end

for _, name in ipairs(modules) do
  local documented = emit_file(name)
  for key, value in pairs(require(name)) do
    if type(value) == "function" and not documented[key] then
      problem("%s.%s has no stub in %s/%s.lua", name, key, meta, name)
    end
  end
  for key in pairs(documented) do
    if type(rawget(require(name), key)) ~= "function" then
      problem("%s/%s.lua: there is no function %s.%s", meta, name, name, key)
    end
  end
end
emit_file("error")

local text = table.concat(out, "\n"):gsub("\n+$", "") .. "\n"
if check then
  if fs.read(page) ~= text then
    problem("%s is not what the stubs say: make docs", page)
  end
else
  assert(fs.write_atomic(page, text))
end
for _, line in ipairs(problems) do
  log.error(line)
end
return #problems == 0 and 0 or 1
