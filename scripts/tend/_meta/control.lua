---@meta

---Commands that a flow adds to the running engine: `tend NAME …` runs them, `tend help` and completion show them.
---@class control
control = {}

---@class tend.command.arg
---@field name string small letters, digits and `_`: its key in the table that `run` gets
---@field help? string one line
---@field type? "string"|"integer"|"number"|"boolean"|"duration" string when left out; a duration (`90`, `30m`) comes as seconds
---@field option? boolean `--name VALUE` in place of a word; a boolean is always one
---@field required? boolean
---@field default? any what `run` gets where it is not given
---@field choices? string[] the words that are allowed
---@field min? integer
---@field max? integer

---@class tend.command
---@field name string small letters, digits and `-`; not one that tend has itself
---@field help string one line
---@field args? tend.command.arg[] checked before `run` is called; words in their order, required ones first
---@field level? "operator"|"read-only" who may: operator when left out. A read-only one is refused what changes anything, and has no audit
---@field timeout? number seconds, 30 when left out, at most 3600
---@field run fun(args: table<string, any>, client: { uid: integer, pid: integer }): any, any

---Adds a command. Only while the flow file loads; a reload has the commands of the new file. `run` is a task: it may wait,
---and ends when the client leaves. What it prints goes to the client as it comes; where the client is slow `print` waits. A number
---that it returns is the exit code, another value is shown, `false` or `nil, err` is a refusal (exit 1); an error names file and line.
---Raises for a wrong or taken name and for wrong keys.
---@param command tend.command
function control.command(command) end
