-- Load for wrk: cycles through prepared bodies, and prints what it counted as one line of JSON.
-- Arguments: the file of bodies, one per line; "traced" for a fresh W3C traceparent on every request.

local plain, heads, tails = {}, {}, {}
local traced, count, at = false, 0, 0

function init(args)
  traced = args[2] == "traced"
  math.randomseed(os.time())
  for body in io.lines(args[1]) do
    count = count + 1
    local headers = { ["Content-Type"] = "application/json", ["traceparent"] = traced and "TRACEPARENT" or nil }
    local whole = wrk.format("POST", nil, headers, body)
    plain[count] = whole
    if traced then
      local from, to = whole:find("TRACEPARENT", 1, true)
      heads[count], tails[count] = whole:sub(1, from - 1), whole:sub(to + 1)
    end
  end
end

local function fresh()
  local r = math.random
  return string.format("00-%08x%08x%08x%08x-%08x%08x-01",
    r(1, 0x7fffffff), r(0, 0x7fffffff), r(0, 0x7fffffff), r(0, 0x7fffffff), r(1, 0x7fffffff), r(0, 0x7fffffff))
end

function request()
  at = at % count + 1
  if traced then
    return heads[at] .. fresh() .. tails[at]
  end
  return plain[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'counted {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "max_us": %d, '
      .. '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
