-- demo: needs nothing but the machine. A small loop that says every few seconds that it is there.
local loop = [[
trap 'echo "demo: stopping after $n rounds"; exit 0' TERM INT
n=0
while :; do
  n=$((n + 1))
  echo "demo: round $n"
  sleep 3 &
  wait $!
done
]]

return {
  name = "demo",
  summary = "A loop that needs nothing but the machine",
  mode = "server",
  processes = {
    main = { command = { "/bin/sh", "-c", loop }, description = "says a line every 3 seconds" },
  },
}
