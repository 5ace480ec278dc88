-- A workload without a shell: says its rounds and ends in order.
signal.on("TERM", function() end)
local n = 0
while not signal.stopping() do
  n = n + 1
  log.info("round " .. n)
  timer.sleep(0.1)
end
log.info "the loop ends"
