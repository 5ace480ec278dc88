-- Writes docs/lua-api.md from the stubs in scripts/tend/_meta, and docs/policies.md from the comments in scripts/policies:
-- tend script docs/generate.lua DIRECTORY. Also compares the stubs with what scripts really find: a function or a handle's method
-- without a stub, a stub without its function or without a word about what it does, is an error.
local split = require("tend.repl_help").split

local to = ... or "docs"
local meta = "scripts/tend/_meta"
local modules = {
  "settings", "lifecycle", "control", "process", "probe", "postgres", "http", "net", "dns", "fs", "timer",
  "cron", "event", "hooks", "state", "retry", "signal", "metrics", "log", "json", "clock",
}
local problems = {}

local function problem(text, ...)
  problems[#problems + 1] = text:format(...)
end

-- A stub as a list of entries { kind = "class" | "function" | "alias", doc = lines, … }; `handle` is the class of a method.
local function parse(path)
  local entries, doc, annotations, classes = {}, {}, {}, {}
  local function add(entry)
    entry.doc, entry.annotations = doc, annotations
    entries[#entries + 1] = entry
  end
  local function reset()
    doc, annotations = {}, {}
  end
  for line in fs.lines(path) do
    local annotation, text = line:match("^%-%-%-@(%S+)%s*(.*)$")
    local signature = line:match("^function (.+) end$") or line:match("^function ([%w_.]+%b())$")
    local variable = line:match("^local ([%w_]+) = {}$")
    for _, a in ipairs(variable and annotations or {}) do
      if a[1] == "class" then
        classes[variable] = a[2]
      end
    end
    if annotation and annotation ~= "meta" then
      annotations[#annotations + 1] = { annotation, text }
    elseif line:match("^%-%-%-    +%S") and #annotations > 0 then -- the rest of a long one
      annotations[#annotations][2] = annotations[#annotations][2] .. " " .. line:match("^%-%-%- +(.*)$")
    elseif line:match("^%-%-%-") then
      doc[#doc + 1] = line:sub(4):gsub("^ ", "")
    elseif signature then
      local object, method = signature:match("^([%w_]+):([%w_]+)")
      add { kind = "function", signature = signature, handle = object and classes[object], method = method }
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

local out -- lines of the page

local function emit(text, ...)
  out[#out + 1] = select("#", ...) > 0 and text:format(...) or text
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
      emit("- `%s`: `%s`%s", name == "[integer]" and "[n]" or name, type_, words ~= "" and " " .. words or "")
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
      local _, type_, words = split("x " .. annotation[2])
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

out = {}
emit "# The Lua API"
emit ""
emit "Generated from scripts/tend/_meta (`make docs`); an editor with the Lua language server reads the same stubs."
emit ""
emit "What a flow file, a policy or a `tend script` finds as globals, besides Lua's own `assert error ipairs next pairs pcall select"
emit "tonumber tostring type xpcall load require setmetatable …`, `string table math utf8 coroutine`, and `os.time clock date"
emit "difftime`. There is no `io`, `debug`, `os.execute`, no bytecode and no `__gc`; a global that is not there raises, and what is"
emit "there (globals, libraries, modules) cannot be changed. `require` finds scripts below the directories of scripts and flows only. This"
emit "is a guard rail for people who make mistakes, not a wall against attackers: a flow file is trusted like any program."
emit ""
emit "What *waits* may be called in a task only: a check, a handler, a hook, a timer's function, a script; not while a flow file"
emit "loads, not inside a coroutine of your own, not in a metamethod that a function of the library calls. A task that is"
emit "cancelled or late gets an error out of the call that waits (`<close>` variables are closed, `pcall` sees it, every later"
emit "wait raises at once). A task uses at most 1 s of CPU, in slices of 3 ms; a flow file has 500 ms to load; all scripts"
emit "together have 64 MiB. A `tend script` may compute as long as it likes and has 1 GiB. One call that nothing can interrupt (a"
emit "pattern that goes back and forth) has 1 s of CPU, in a script 5 s: then the function is"
emit "[quarantined](operations.md#when-the-engine-dies)."
emit ""
emit "`table.sort`, `string.gsub` with a function and the reader of `load` are tend's own: a long one holds nobody up, and what"
emit "they call may wait. `table.sort` with an order writes the list when all is in order, keeps equal elements as they were"
emit "(plain Lua's does not), and takes an order that contradicts itself without an error. `load` takes at most 1 MiB. Where a"
emit "function of the library calls a metamethod (`__tostring`, `__index` under `table.concat`, `__close` under"
emit "`coroutine.close`), that has 20 ms of CPU."
emit ""
emit "Times are seconds. A failure of the world gives `nil, err`, where `err.code` is a stable word ([events.md](events.md) explains"
emit "most of them, `tend explain WORD` too); a mistake of the caller raises and names the key."
emit ""

-- What stubs say of handles: class → method → true.
local methods = {}

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
      elseif entry.handle then
        methods[entry.handle] = methods[entry.handle] or {}
        methods[entry.handle][entry.method] = true
      else
        problem("%s/%s.lua: %s belongs to nothing", meta, name, entry.signature)
      end
      if #entry.doc == 0 then
        problem("%s/%s.lua: not a word about %s", meta, name, entry.signature)
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

-- A handle of each class, and where its metatable is made. Modules that speak to somebody are loaded anew with a C half that answers.
local function half(name, core)
  return assert(load(fs.read("scripts/tend/" .. name .. ".lua"), name, "t"))(core)
end
local handles = {
  { "tend.timer", "engine/lua/l_timer.c", function() return timer.after(3600, function() end) end },
  { "tend.child", "engine/lua/l_spawn.c", function() return assert(process.spawn { "true" }) end },
  { "tend.cron", "engine/lua/l_cron.c", function() return cron.parse "@daily" end },
  { "tend.cron.job", "engine/lua/l_cron.c", function() return cron.every("@yearly", function() end) end },
  { "tend.subscription", "engine/lua/l_event.c", function() return event.subscribe("notice", function() end) end },
  { "tend.metric", "scripts/tend/metrics.lua", function()
    return half("metrics", { declare = function() end }).counter("handle_total", "a handle")
  end },
  { "tend.socket", "scripts/tend/net.lua", function() return assert(net.udp { host = "127.0.0.1", port = 9 }) end },
  { "tend.http.response", "scripts/tend/http.lua", function()
    return half("http", { request = function() return 200, "", "" end }).get "http://a/"
  end },
  { "tend.postgres.session", "scripts/tend/postgres.lua", function()
    return half("postgres", { connection = function() return "postgresql://a/" end, connect = function() return {} end }).connect "a"
  end },
}
local inner = { ["engine/lua/l_net.c"] = true, ["engine/lua/l_postgres.c"] = true } -- what tend.socket and tend.postgres.session hold

local made = {}
for _, handle in ipairs(handles) do
  local class, source, make = table.unpack(handle)
  made[source] = (made[source] or 0) + 1
  local stubs = methods[class] or {}
  methods[class] = nil
  for key, value in pairs(getmetatable(make()).__index) do
    if type(value) == "function" and key:sub(1, 2) ~= "__" and not stubs[key] then
      problem("%s:%s has no stub in %s", class, key, meta)
    end
    stubs[key] = nil
  end
  for key in pairs(stubs) do
    problem("%s: there is no method %s:%s", meta, class, key)
  end
end
for class in pairs(methods) do
  problem("%s: nothing is known to give a %s", meta, class)
end
local makers = { { "engine/lua", "luaL_newmetatable%(L, META%)", "\n  l_class%(L, " }, { "scripts/tend", "\n([%w_]+)%.__index = %1\n" } }
for _, place in ipairs(makers) do
  for _, entry in ipairs(fs.list(place[1])) do
    local path = place[1] .. "/" .. entry.name
    local n, text = 0, entry.type == "file" and fs.read(path) or ""
    for i = 2, #place do
      n = n + select(2, text:gsub(place[i], ""))
    end
    if not inner[path] and n ~= (made[path] or 0) then
      problem("%s makes %d kinds of handles, %d are compared with their stubs in docs/generate.lua", path, n, made[path] or 0)
    end
  end
end

local function write(name)
  assert(fs.write_atomic(to .. "/" .. name, (table.concat(out, "\n"):gsub("\n+$", "")) .. "\n"))
end
write "lua-api.md"

-- The policies. Which options a function takes is seen by calling it with none.
local checker, taken = require "policies.check", nil
function checker.options(_, _, known)
  taken = known
  error("seen", 0)
end

local function options_of(fn)
  taken = nil
  if not pcall(fn, {}) and not taken then
    pcall(fn, "name", {})
  end
  return taken
end

local told = {} -- "database.rpa" → name → true

-- What every policy that gives a check takes besides its own options.
local check_keys = {
  "name", "description", "role", "process", "timeout", "interval", "failures", "successes", "window", "unknowns",
  "initial_delay", "fast_interval", "down_interval",
}

local function compare_options(path, name, item, fn)
  local words = {}
  local text = ""
  for _, annotation in ipairs(item.annotations) do
    text = annotation[1] == "param" and annotation[2]:match "^o%?? %S+ +(.*)$" or text
  end
  local like = text:match "^as for ([%w_.]+)"
  if like then
    words = told[like] or {}
  else
    text = text:gsub("the keys of a check", table.concat(check_keys, ", "))
    text = text:gsub("the keys of a remedy", "name, description, failures, cooldown, max, window, dry_run")
    for word in text:gsub("%b()", ""):gsub(" with ", ", "):gmatch "[%w_]+" do
      words[word] = true
    end
  end
  told[name] = words
  local known = options_of(fn)
  for key in pairs(known or {}) do
    if not words[key] then
      problem("%s: %s takes %s, its comment does not tell", path, name, key)
    end
  end
  for key in pairs(known and words or {}) do
    if not known[key] then
      problem("%s: %s does not take %s, which its comment tells", path, name, key)
    end
  end
end

out = {}
emit "# Policies"
emit ""
emit "Ready pieces of flows: dependencies, checks, remedies and cleanup handlers, in scripts/policies. A flow takes one with"
emit "`local database = require \"policies.database\"` and puts what a function gives into its lists: `dependencies = { database.rpa() }`."
emit "Generated from their comments (`make docs`). What an option means is in [flow-file.md](flow-file.md) and, of probes, in"
emit "[lua-api.md](lua-api.md); a wrong one is an error that names the flow's line. The keys of a check, which are in"
emit "[flow-file.md](flow-file.md), too, are"
emit(table.concat(check_keys, ", ") .. ".")
emit ""
for _, entry in ipairs(fs.list "scripts/policies") do
  local name = entry.name:match "^(.*)%.lua$"
  if name and name ~= "check" then
    emit("## policies.%s", name)
    emit("")
    local documented = {}
    for _, item in ipairs(parse("scripts/policies/" .. entry.name)) do
      if item.kind == "function" then
        local fn = item.signature:match "%.([%w_]+)%(" or ""
        documented[fn] = true
        compare_options("scripts/policies/" .. entry.name, name .. "." .. fn, item, require("policies." .. name)[fn])
        emit_function(item)
        if #item.doc == 0 then
          problem("scripts/policies/%s: not a word about %s", entry.name, item.signature)
        end
      end
    end
    for key, value in pairs(require("policies." .. name)) do
      if type(value) == "function" and not documented[key] then
        problem("scripts/policies/%s: not a word about %s.%s", entry.name, name, key)
      end
    end
  end
end
write "policies.md"

for _, line in ipairs(problems) do
  log.error(line)
end
return #problems == 0 and 0 or 1
