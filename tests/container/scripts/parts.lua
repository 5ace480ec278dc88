-- Loads the parts, says what each answers, and stays. Argument: a URL.
local url = ...
local session, err = postgres.connect { connection = "postgresql://u:p@127.0.0.1:1/d" }
log.info("postgres: " .. (session and "connected" or err.code))
local response
response, err = http.get(url)
log.info("http: " .. (response and response.status or err.code .. ": " .. err.message))
while not signal.stopping() do timer.sleep(0.1) end
