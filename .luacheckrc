std = "lua54"
max_line_length = 140
codes = true
ignore = { "212/_.*" }

-- What a flow file and a policy find as globals (docs/lua-api.md).
local api = { "lifecycle", "process", "probe", "timer", "signal", "metrics", "log", "settings", "fs", "postgres", "json", "clock" }
files["scripts"] = { read_globals = api }
files["flows"] = { read_globals = api }
files["spec"] = { std = "+busted" }
files["tests"] = { std = "+busted" }
files[".luacheckrc"] = { ignore = { "111", "112" } }
