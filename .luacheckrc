std = "lua54"
max_line_length = 140
codes = true
ignore = { "212/_.*" }

-- What a flow file and a policy find as globals (docs/lua-api.md).
local api = { "lifecycle", "process", "probe", "timer", "signal", "metrics", "log", "settings", "fs", "postgres", "http", "net", "dns", "retry", "json", "clock",
  "control", "cron", "event", "hooks", "state" }
files["scripts"] = { read_globals = api }
files["scripts/tend/_meta"] = { ignore = { "121", "122", "212", "241" } } -- stubs for editors
files["scripts/tend/repl_stubs.lua"] = { ignore = { "111", "112", "121", "122", "131", "212" } } -- stubs of the prompt
files["flows"] = { read_globals = api }
files["docs/examples"] = { read_globals = api }
files["spec"] = { std = "+busted", max_line_length = 180 }
files["tests"] = { std = "+busted", max_line_length = 180 }
files["tests/container/scripts"] = { read_globals = api }
files["docs"] = { read_globals = api }
files[".luacheckrc"] = { ignore = { "111", "112" } }
