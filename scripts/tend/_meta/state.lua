---@meta

---One plain table that is kept: over reloads, and when a new engine takes over from one that ended. Not over the end of the
---container. It begins empty; its keys are the script's own: `state.runs = (state.runs or 0) + 1`.
---
---It is stored as JSON after tasks have run, so: texts, numbers, booleans, lists and tables with named keys; no functions, no
---circles, at most 64 KiB. What cannot be stored is told as a `script_error`, and the last good table stays kept. What was changed in
---the quarter of a second before an engine's end may be lost. In `tend script` it is kept for nobody.
---@class state: table<string, any>
state = {}
