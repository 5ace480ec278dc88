---@meta

---Lines of a script's own in tend's log: event `message`, component `script`. `print` is `log.info`.
---@class log
log = {}

---@param message string
---@param fields? table<string, any> the line's details
function log.debug(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.info(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.warning(message, fields) end

---@param message string
---@param fields? table<string, any>
function log.error(message, fields) end
