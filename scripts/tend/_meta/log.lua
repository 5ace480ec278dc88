---@meta

---Lines of a script's own in tend's log: event `message`, component `script`. `print` is `log.info`.
---@class log
log = {}

---A line that is seen only with CONTAINER_LOG_LEVEL=DEBUG.
---@param message string
---@param fields? table<string, any> the line's details
function log.debug(message, fields) end

---What somebody who looks wants to know.
---@param message string
---@param fields? table<string, any>
function log.info(message, fields) end

---Something odd, with which it goes on.
---@param message string
---@param fields? table<string, any>
function log.warning(message, fields) end

---Something that failed.
---@param message string
---@param fields? table<string, any>
function log.error(message, fields) end

---The level from which on lines are written. With a name it is set, until the engine ends: settings and a reload do not change it
---any more. The same as `tend log-level`.
---@param level? "DEBUG"|"INFO"|"WARNING"|"ERROR"|"CRITICAL"
---@return string level the one before
function log.level(level) end

---Something that somebody must look at now.
---@param message string
---@param fields? table<string, any>
function log.critical(message, fields) end
