---@meta

---HTTP and HTTPS requests, waiting without blocking. Whatever status a server answers with, it is a response; nil, err means
---that there was none. Certificates are checked, against the system's CAs where no other is given; proxies of the environment
---are not used; nothing is unpacked. Connections are kept for the next request to the same server.
---
---Error codes: "dns", "refused", "unreachable", "permission", "timeout", "tls" (the message says which check), "closed",
---"protocol", "too_large" (more than limit), "memory", "part" (the libcurl part is not installed). Messages never hold a
---password, a query or a header. Wrong options raise.
---@class http
http = {}

---@class tend.http.options
---@field url? string "http://HOST[:PORT]/PATH" or https
---@field method? string GET, with a body POST
---@field headers? table<string, string>|string[] { Name = "value" }, or a list of "Name: value"
---@field body? string
---@field json? any a value that is sent as JSON, in place of a body
---@field timeout? number seconds for the whole; 30 when left out
---@field limit? integer bytes of the answer, counted while they come; 1 MiB when left out, at most 16 MiB
---@field cut? boolean a longer answer is cut there, and its connection closed; else it is "too_large"
---@field redirects? integer how many are followed (0 to 3), of GET and HEAD, to the same scheme, host and port; 0 when left out
---@field ca_file? string CA of the server's certificate, in place of the system's; PEM
---@field cert_file? string our certificate, PEM
---@field key_file? string its key, where it is not in cert_file
---@field proxy? string "http://HOST:PORT"
---@field insecure? boolean the server's certificate is not checked; a warning says so

---@class tend.http.response
---@field status integer
---@field ok boolean the status is 200 to 299
---@field headers table<string, string> by name in lower case; of one that came more often the values with ", " between
---@field body string
---@field cut boolean there was more
local response = {}

---The body as a value, within the bounds of `json.decode`.
---@return any?
---@return tend.error? err code "json", with line and column
function response:json() end

---One request; `url` is among the options.
---@async
---@param options tend.http.options
---@return tend.http.response?
---@return tend.error? err
function http.request(options) end

---`http.request` with method GET.
---@async
---@param url string
---@param options? tend.http.options
---@return tend.http.response?
---@return tend.error? err
function http.get(url, options) end

---`http.request` with method POST. A table is sent as JSON, a text as it is.
---@async
---@param url string
---@param body string|table
---@param options? tend.http.options
---@return tend.http.response?
---@return tend.error? err
function http.post(url, body, options) end
