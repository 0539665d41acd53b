/**
 * The limiter's scripts. Time is the server's, in milliseconds. Of each bucket of a seller there are two keys, in one slot by the hash tag:
 *
 *   rate_limit:{<user id>}[:<bucket>]         list, oldest first, a lease an entry: time * 1024 + tokens
 *   rate_limit:{<user id>}[:<bucket>]:state   hash: used (sum of the list), paused (until), and of a 429: lowered, since, strikes (adaptive.ts)
 *
 * and two for all sellers:
 *
 *   rate_limit:epoch     "<since> <run id>": from when on everything that was taken is in here; no expiry
 *   rate_limit:sellers   sorted set: which sellers took tokens lately, by when; for people, no token depends on it
 */
const COMMON = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end

local function limit_now(full, lowered, since, quiet)
  if not lowered then return full end
  local steps = math.max(0, math.floor((now - since) / quiet))
  return math.min(full, lowered + steps * math.ceil(full / 10))
end
`;

/**
 * Answers several questions, each "up to so many tokens for this seller, from every bucket the request counts in, or from none"; and takes back what was left over of the
 * seller's last ones, as if it had not been given.
 *
 * The epoch: whoever finds it missing (FLUSHALL, a fresh server) or of another server process (a restart that lost the last seconds, a failover) writes
 * it anew, and until it is a window old nothing is given: what was taken before may still count at CardTrader.
 *
 * KEYS: epoch, then of each question leases and state of each of its buckets. ARGV: run id, patience, silence, quiet time, then of each question: wanted, left
 * over, of which time, number of buckets, and limit and window of each. Answers the time, and of each question: granted, wait in ms, what to wait for (-1 epoch, 0 a
 * pause, else the bucket's place).
 */
export const TAKE = `${COMMON}
local patience, silence, quiet = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local epoch = redis.call('GET', KEYS[1])
local since, run
if epoch then since, run = string.match(epoch, '^(%d+) (.+)$') end
since = tonumber(since)
if run ~= ARGV[1] or not since or since > now then
  since = now
  redis.call('SET', KEYS[1], int(now) .. ' ' .. ARGV[1])
end
local silent = since + silence - now

-- What still counts, after what has expired was dropped.
local function read(leases, state, full, window)
  local b = { leases = leases, state = state, window = window }
  local s = redis.call('HMGET', b.state, 'used', 'lowered', 'since', 'paused')
  b.limit = limit_now(full, tonumber(s[2]), tonumber(s[3]), quiet)
  b.keep = b.window + 1000
  if s[2] then b.keep = math.max(b.keep, s[3] - now + 10 * quiet) end
  b.paused = s[4] and s[4] - now or 0
  b.used = tonumber(s[1])
  if not b.used then -- the hash went without the list
    b.used = 0
    for _, lease in ipairs(redis.call('LRANGE', b.leases, 0, -1)) do b.used = b.used + lease % 1024 end
  end
  local before = b.used
  local lease = redis.call('LINDEX', b.leases, 0)
  while lease do
    local at = math.floor(lease / 1024)
    if at > now then -- the clock was set back: all of it counts from now, or it would count for as long as the clock was set back
      redis.call('DEL', b.leases)
      redis.call('RPUSH', b.leases, int(now * 1024 + b.used))
      redis.call('PEXPIRE', b.leases, int(b.keep))
      break
    end
    if at + b.window >= now then break end
    redis.call('LPOP', b.leases)
    b.used = b.used - lease % 1024
    lease = redis.call('LINDEX', b.leases, 0)
  end
  if not lease then b.used = 0 end
  b.changed = b.used ~= before
  return b
end

-- When more would fit: the last to come free within patience of the first.
local function wait_for(b, more)
  if b.paused > 0 then return b.paused end
  local over, needed = b.used + more - b.limit, math.max(1, b.used + 1 - b.limit)
  local freed, first, last, i = 0, nil, 1, 0
  while true do
    local lease = redis.call('LINDEX', b.leases, i)
    if not lease then return last end
    local wait = math.floor(lease / 1024) + b.window + 1 - now
    freed = freed + lease % 1024
    if freed >= needed then
      if not first then first = wait elseif wait > first + patience then return last end
      last = wait
      if freed >= over then return last end
    end
    i = i + 1
  end
end

local function take(buckets, wanted)
  local granted, wait, blocker = wanted, 0, 0
  for _, b in ipairs(buckets) do granted = math.min(granted, b.paused > 0 and 0 or math.max(0, b.limit - b.used)) end
  for place, b in ipairs(buckets) do
    if granted > 0 then
      redis.call('RPUSH', b.leases, int(now * 1024 + granted))
      b.used = b.used + granted
      redis.call('PEXPIRE', b.leases, int(b.keep))
    end
    if granted > 0 or b.changed then
      redis.call('HSET', b.state, 'used', int(b.used))
      redis.call('PEXPIRE', b.state, int(math.max(b.keep, b.paused + 1000)))
    end
    if granted < wanted and (b.paused > 0 or b.limit - b.used < wanted - granted) then
      local w = wait_for(b, wanted - granted)
      if w > wait then wait, blocker = w, (b.paused > 0 and place == 1) and 0 or place end
    end
  end
  return granted, wait, blocker
end

-- The lease of that time becomes smaller; if there is none any more, it no longer counts anyway.
local function take_back(b, count, at)
  local i = -1
  while true do
    local lease = redis.call('LINDEX', b.leases, i)
    if not lease or math.floor(lease / 1024) < at then return end
    if math.floor(lease / 1024) == at and lease % 1024 >= count then
      redis.call('LSET', b.leases, i, int(lease - count))
      b.used, b.changed = b.used - count, true
      return
    end
    i = i - 1
  end
end

local answers, key, arg = {now}, 2, 5
while key <= #KEYS do
  local wanted, left, count = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 3])
  local granted, wait, blocker = 0, silent, -1
  if silent <= 0 then
    local buckets = {}
    for place = 1, count do
      buckets[place] = read(KEYS[key + 2 * place - 2], KEYS[key + 2 * place - 1], tonumber(ARGV[arg + 2 + 2 * place]), tonumber(ARGV[arg + 3 + 2 * place]))
      if left > 0 then take_back(buckets[place], left, tonumber(ARGV[arg + 2])) end
    end
    granted, wait, blocker = take(buckets, wanted)
  end
  answers[#answers + 1], answers[#answers + 2], answers[#answers + 3] = granted, wait, blocker
  key, arg = key + 2 * count, arg + 4 + 2 * count
end
return answers
`;

/** A 429 (adaptive.ts). KEYS: state of the bucket. ARGV: limit, window, quiet time, asked pause (-1: none), first, shortest and longest pause. */
export const THROTTLED = `${COMMON}
local full, window, quiet, asked = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if asked >= 0 then asked = math.max(asked, tonumber(ARGV[6])) end
local s = redis.call('HMGET', KEYS[1], 'lowered', 'since', 'paused', 'strikes')
local lowered, since, paused, strikes = tonumber(s[1]), tonumber(s[2]), tonumber(s[3]) or 0, tonumber(s[4]) or 0
if lowered and paused > now then
  if asked >= 0 then paused = math.max(paused, now + asked) end
else
  local limit = limit_now(full, lowered, since, quiet)
  if limit >= full then strikes = 0 end
  strikes = strikes + 1
  if asked < 0 then asked = math.min(tonumber(ARGV[7]), ARGV[5] * 2 ^ math.min(strikes - 1, 10)) end
  paused = math.max(paused, now + asked)
  lowered = math.max(math.ceil(full / 10), math.floor(limit * 0.7))
end
redis.call('HSET', KEYS[1], 'lowered', int(lowered), 'since', int(paused), 'paused', int(paused), 'strikes', int(strikes))
redis.call('PEXPIRE', KEYS[1], int(paused - now + 10 * quiet + window))
return {lowered, paused - now}
`;

/** Nothing for a while, without a 429. KEYS: state. ARGV: for how long. */
export const PAUSE = `${COMMON}
local paused = math.max(tonumber(redis.call('HGET', KEYS[1], 'paused')) or 0, now + ARGV[1])
redis.call('HSET', KEYS[1], 'paused', int(paused))
if redis.call('PTTL', KEYS[1]) < paused - now + 1000 then redis.call('PEXPIRE', KEYS[1], int(paused - now + 1000)) end
`;

/** Looks and changes nothing. KEYS: epoch, then leases and state of each bucket. ARGV: run id, silence, limit, window, quiet time. Answers of each {limit, used, pause, silence}. */
export const INSPECT = `${COMMON}
local since, run = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (.+)$')
local silent = (run == ARGV[1]) and math.max(0, since + ARGV[2] - now) or tonumber(ARGV[2])
local answers = {}
for key = 2, #KEYS, 2 do
  local s = redis.call('HMGET', KEYS[key + 1], 'lowered', 'since', 'paused')
  local used = 0
  for _, lease in ipairs(redis.call('LRANGE', KEYS[key], 0, -1)) do
    if math.floor(lease / 1024) + ARGV[4] >= now then used = used + lease % 1024 end
  end
  for _, number in ipairs({limit_now(tonumber(ARGV[3]), tonumber(s[1]), tonumber(s[2]), tonumber(ARGV[5])), used, math.max(0, s[3] and s[3] - now or 0), silent}) do answers[#answers + 1] = number end
end
return answers
`;

/** Notes who took tokens, and forgets who has not for long. KEYS: sellers. ARGV: for how long they are kept, then the sellers. */
export const NOTE = `${COMMON}
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], int(now), ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', int(now - ARGV[1]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
`;

/** KEYS: sellers. ARGV: how many, for how long they count. Answers how many there are, and the last ones. */
export const LATELY = `${COMMON}
local found = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', int(now - ARGV[2]), 'LIMIT', 0, ARGV[1])
table.insert(found, 1, redis.call('ZCOUNT', KEYS[1], int(now - ARGV[2]), '+inf'))
return found
`;
