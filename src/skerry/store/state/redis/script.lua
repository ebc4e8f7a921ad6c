-- One unit of operations on one state, all or nothing: see skerry/store/state/operation.py.
--
-- KEYS[1]  what the names of the state's keys begin with: skerry:{APP/NAME}:
-- ARGV[1]  MessagePack of operations: {verb, key, values, number, ttl_ms, stop, from, to}; false for what is not given
--
-- Returns {"ok", results}, {"conflict", key}, {"kind", key, verb, found} or {"number", key}.
--
-- Redis does not undo what a script has done before it fails. So everything that can be refused is looked at first, in
-- a pass that only reads, and the second pass cannot fail.

local base = KEYS[1]
local operations = cmsgpack.unpack(ARGV[1])
local call = redis.call
local REVISION, VERSIONS, NAMES, ENDS = base .. 'r', base .. 'v', base .. 'n', base .. 'x'
local KINDS = {string = 'value', list = 'list', set = 'set'}
local NEEDS = {get = 'value', increment = 'value', append = 'list', pop = 'list', slice = 'list',
               add = 'set', discard = 'set', members = 'set', contains = 'set'}
local MAKES = {put = 'value', increment = 'value', append = 'list', add = 'set'}
local LIMIT, LIMIT_TEXT = 9007199254740992, '9007199254740992'
local CHANGES_PER_SWEEP, SWEPT_AT_ONCE, VALUES_AT_ONCE = 16, 256, 1000

local function at(key)
  return base .. 'k:' .. key
end

local function exists(key)
  return call('EXISTS', at(key)) == 1
end

local function version_of(key)
  return exists(key) and tonumber(call('HGET', VERSIONS, key)) or 0
end

-- The number that a value is; false when it is none that can be added to. Lua's numbers are exact up to LIMIT only.
local function whole(value)
  if not string.match(value, '^%-?%d+$') then return false end
  local number = tonumber(value)
  local size = math.abs(number)
  if size > LIMIT or (size == LIMIT and string.gsub(value, '-', '') ~= LIMIT_TEXT) then return false end
  return number
end

-- First pass: refuse.

for _, operation in ipairs(operations) do
  if operation[1] == 'check' and version_of(operation[2]) ~= operation[4] then
    return {'conflict', operation[2]}
  end
end

local kinds, numbers = {}, {}  -- what each key will hold, as far as the operations before say

local function kind_of(key)
  if kinds[key] == nil then kinds[key] = KINDS[call('TYPE', at(key)).ok] or false end
  return kinds[key]
end

local function number_of(key)
  if numbers[key] == nil then
    numbers[key] = 0
    if kind_of(key) then numbers[key] = whole(call('GET', at(key))) end
  end
  return numbers[key]
end

for _, operation in ipairs(operations) do
  local verb, key = operation[1], operation[2]
  local needed = NEEDS[verb]
  if needed or verb == 'size' then
    local found = kind_of(key)
    if found and ((needed and found ~= needed) or (not needed and found == 'value')) then
      return {'kind', key, verb, found}
    end
  end
  if verb == 'increment' then
    local number, by = number_of(key), operation[4]
    -- The sum is not compared: it may already have been rounded.
    if not number or (by > 0 and number > LIMIT - by) or (by < 0 and number < -LIMIT - by) then
      return {'number', key}
    end
    numbers[key] = number + by
  elseif verb == 'put' then
    numbers[key] = whole(operation[3][1])
  elseif verb == 'delete' then
    kinds[key], numbers[key] = false, 0
  end
  kinds[key] = MAKES[verb] or kinds[key]
end

-- Second pass: do.

local revision, clock

local function now_ms()
  if not clock then
    local time = call('TIME')
    clock = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return clock
end

local function change()
  if not revision then revision = call('INCR', REVISION) end
  return revision
end

local function mark(key)
  if call('HSET', VERSIONS, key, change()) == 1 then call('ZADD', NAMES, 0, key) end
end

local function forget(key)
  call('HDEL', VERSIONS, key)
  call('ZREM', NAMES, key)
  call('ZREM', ENDS, key)
end

local function end_in(key, ttl_ms)
  if ttl_ms then
    call('PEXPIRE', at(key), ttl_ms)
    call('ZADD', ENDS, now_ms() + ttl_ms, key)
  end
end

-- After something was taken from a list or a set.
local function settle(key)
  if exists(key) then
    mark(key)
  else
    change()
    forget(key)
  end
end

local function with_all(command, key, values)
  local result = 0
  for first = 1, #values, VALUES_AT_ONCE do
    local last = math.min(first + VALUES_AT_ONCE - 1, #values)
    local done = call(command, at(key), unpack(values, first, last))
    result = command == 'RPUSH' and done or result + done
  end
  return result
end

local does = {}

function does.check() return false end

function does.get(key)
  local value = call('GET', at(key))
  return value and {value, tonumber(call('HGET', VERSIONS, key))}
end

function does.put(key, values, _, ttl_ms)
  call('SET', at(key), values[1])
  call('ZREM', ENDS, key)
  end_in(key, ttl_ms)
  mark(key)
  return change()
end

function does.delete(key)
  local there = call('DEL', at(key))
  if there == 1 then change() end
  forget(key)
  return there
end

function does.increment(key, _, by, ttl_ms)
  local new = ttl_ms and not exists(key)
  local number = call('INCRBY', at(key), string.format('%.0f', by))
  if new then end_in(key, ttl_ms) end
  mark(key)
  return number
end

function does.expire(key, _, _, ttl_ms)
  if not exists(key) then return 0 end
  if not ttl_ms then
    call('PERSIST', at(key))
    call('ZREM', ENDS, key)
  end
  end_in(key, ttl_ms)
  return 1
end

function does.append(key, values, _, ttl_ms)
  local new = ttl_ms and not exists(key)
  local length = with_all('RPUSH', key, values)
  if new then end_in(key, ttl_ms) end
  mark(key)
  return length
end

function does.pop(key, _, which)
  local value = call(which == 0 and 'LPOP' or 'RPOP', at(key))
  if value then settle(key) end
  return value
end

function does.slice(key, _, start, _, stop)
  local length = call('LLEN', at(key))
  local function place(index)
    return math.max(0, math.min(length, index < 0 and index + length or index))
  end
  local first, behind = place(start), place(stop or length)
  return first < behind and call('LRANGE', at(key), first, behind - 1) or {}
end

function does.add(key, values, _, ttl_ms)
  local new = ttl_ms and not exists(key)
  local added = with_all('SADD', key, values)
  if new then end_in(key, ttl_ms) end
  if added > 0 then mark(key) end
  return added
end

function does.discard(key, values)
  local gone = with_all('SREM', key, values)
  if gone > 0 then settle(key) end
  return gone
end

function does.members(key) return call('SMEMBERS', at(key)) end

function does.contains(key, values) return call('SISMEMBER', at(key), values[1]) end

function does.size(key)
  return call(kind_of(key) == 'set' and 'SCARD' or 'LLEN', at(key))
end

function does.scan(_, _, limit, _, _, from, to)
  local found = {}
  while #found < limit do
    local names = call('ZRANGEBYLEX', NAMES, from, to, 'LIMIT', 0, limit)
    for _, key in ipairs(names) do
      local left_ms = call('PTTL', at(key))
      if left_ms == -2 then
        forget(key)
      elseif #found < limit then
        local kind, version = KINDS[call('TYPE', at(key)).ok], tonumber(call('HGET', VERSIONS, key))
        found[#found + 1] = {key, kind, version, left_ms >= 0 and left_ms}
      end
    end
    if #names < limit then break end
    from = '(' .. names[#names]
  end
  return found
end

function does.revision()
  local now = tonumber(call('GET', REVISION) or 0)
  return revision and now - 1 or now
end

local results = {}
for index, operation in ipairs(operations) do
  local verb, key, values, number, ttl_ms, stop, from, to = unpack(operation)
  results[index] = does[verb](key, values, number, ttl_ms, stop, from, to)
end

if revision then
  call('PUBLISH', base .. '!', revision)
end
if revision and revision % CHANGES_PER_SWEEP == 0 then
  for _, key in ipairs(call('ZRANGEBYSCORE', ENDS, '-inf', now_ms(), 'LIMIT', 0, SWEPT_AT_ONCE)) do
    local left_ms = call('PTTL', at(key))
    if left_ms == -2 then
      forget(key)
    elseif left_ms == -1 then
      call('ZREM', ENDS, key)
    else
      call('ZADD', ENDS, now_ms() + left_ms + 1, key)
    end
  end
end
return {'ok', results}
