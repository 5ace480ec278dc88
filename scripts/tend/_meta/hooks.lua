---@meta

---Functions at points of the lifecycle: entries of the flow's `hooks`, or added here while the flow file loads, e.g. by a policy.
---What each point is, and what a hook may choose there, is in [flow-file.md](flow-file.md#hooks).
---@class hooks
hooks = {}

---@class tend.hook
---@field run fun(about: tend.hook.about): string|tend.hook.choice|nil, string?
---@field name? string one among its point; on_stop_1 … when left out
---@field timeout? number|string seconds, or "250ms"; 2 where something waits for a decision, else 10
---@field before? string|string[] names of hooks of the same point that come after it
---@field after? string|string[] names of hooks of the same point that come before it

---What a hook gets; with more of the point's own.
---@class tend.hook.about
---@field hook string the point
---@field name string its own name
---@field default? string what would be done; where there is a choice
---@field decision? string what the hooks before have chosen, else the default
---@field choices? string[]

---What it may give: one of the choices as a word, with a reason as second value; or this.
---@class tend.hook.choice
---@field action string
---@field delay? number seconds until a restart
---@field reason? string for the log

---Adds a hook. Only while the flow file loads.
---@param point "on_start"|"on_running"|"on_exit"|"on_unhealthy"|"on_drain"|"on_stop"|"on_reload"
---@param hook tend.hook|fun(about: tend.hook.about): string|tend.hook.choice|nil, string?
function hooks.add(point, hook) end
