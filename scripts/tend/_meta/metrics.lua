---@meta

---Metrics of a flow's own, exported with the engine's. Declaring the same one again gives the one that is there, with its
---values: they outlive a reload. Names: `[a-z_][a-z0-9_]*`, not beginning with `tend_`; a counter's ends in `_total`,
---and no other metric has its name without that (in OpenMetrics it is the counter's).
---@class metrics
metrics = {}

---A metric, declared. Each method checks the labels: every declared one, no other; values are texts or numbers, over 256 bytes they
---are cut. Of the combinations of labels of one metric the first 1,000 are kept, others refused and counted.
---@class tend.metric
local metric = {}

---Counter, gauge: grows.
---@param by? number 1 when left out; a counter only grows
---@param labels? table<string, string|number> every declared label
function metric:inc(by, labels) end

---Gauge: shrinks.
---@param by? number
---@param labels? table<string, string|number>
function metric:dec(by, labels) end

---Gauge: is now.
---@param value number
---@param labels? table<string, string|number>
function metric:set(value, labels) end

---Histogram: one more observation.
---@param value number
---@param labels? table<string, string|number>
function metric:observe(value, labels) end

---The present value; a histogram's sum. nil when nothing was counted yet.
---@param labels? table<string, string|number>
---@return number?
function metric:value(labels) end

---A number that only grows. Raises where the name, or a label's, is not allowed, or where it is declared as another kind.
---@param name string
---@param help string one line
---@param labels? string[] names of its labels
---@return tend.metric
function metrics.counter(name, help, labels) end

---A number that goes up and down.
---@param name string its unit as the last word, in base units: queue_age_seconds, cache_bytes
---@param help string
---@param labels? string[]
---@return tend.metric
function metrics.gauge(name, help, labels) end

---How often values fall below bounds: what durations and sizes are told in.
---@param name string
---@param help string
---@param labels? string[]
---@param buckets? number[] rising upper bounds; from 0.005 to 10 when left out
---@return tend.metric
function metrics.histogram(name, help, labels, buckets) end
