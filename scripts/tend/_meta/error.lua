---@meta

---What a call gives as second value when the world failed: `local rows, err = postgres.query(…)`. Printed it is
---`file:line: message`; `assert` shows it. A mistake of the caller (a wrong key, a wrong type) raises in place.
---@class tend.error
---@field code string a stable word: "timeout", "refused", "enoent", …
---@field message string for people; names the peer, path or command; no secret
---@field where? string file and line of the call
---@field sqlstate? string what the database said, five characters
