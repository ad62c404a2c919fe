-- One exchange of a process with all the others, in one step of the server.
--
-- KEYS[1] is a hash that holds all there is of one namespace:
--   meta              "capability-router SCHEMA SEQUENCE STORE"
--   entry:KEY         "VERSION WEIGHT EXPIRES JSON"
--   claim:KEY         "EXPIRES WANTED PROCESS", WANTED 1 if somebody else has asked in vain
--   meter:SPAN NAME   msgpack {held, holders, first, touched, used, bucket, amount, bucket, ...},
--                     oldest bucket first; until `first` no hold expires; `used` is their sum
--   holds:PROCESS     msgpack {{SPAN NAME = held, ...}, {SPAN NAME = expires, ...}}
-- where SPAN is "WIDTH WINDOW". One key is on one node of a cluster, and is evicted as a whole.
--
-- ARGV: channel, schema version, name for a new store, exchange as JSON, process.
-- Answers {"ok", now, store, sequence, written, shares, claimed, entries, corrupt}, or the reason
-- why nothing was done: {"foreign"}, {"corrupt"}, {"schema", version found}, {"unheard"}.
--
-- msgpack, because cjson writes numbers with 14 digits: amounts have 16. What reaches the other
-- side as JSON is strings, and an answer is what the protocol has, whole numbers and strings.

local KEY, CHANNEL, SCHEMA, NEW_STORE, PROCESS = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[5]
local BUCKETS = 60
local AT_ONCE = 1000 -- fields in one command: `unpack` has an end
local LINGER_S = 3600 -- that what is over stays, so that limits that are seldom used do not come and go
local HELD, HOLDERS, FIRST, TOUCHED, USED, OLDEST = 1, 2, 3, 4, 5, 6 -- places in a meter

local asked = cjson.decode(ARGV[4])
local time = redis.call('TIME')
local moment = string.format('%d.%06d', time[1], time[2])
local now = tonumber(moment) -- the same number that the other side reads

local kept = {}    -- fields as they are, false for none
local changed = {} -- fields as they will be, false for none
local corrupt = {}

local function field(name)
  if changed[name] ~= nil then return changed[name] end
  return kept[name] or false
end

local function put(name, text)
  if field(name) ~= text then changed[name] = text end
end

local function spoiled(name)
  corrupt[#corrupt + 1] = name
  put(name, false)
end

local function read(names)
  for start = 1, #names, AT_ONCE do
    local stop = math.min(start + AT_ONCE - 1, #names)
    local texts = redis.call('HMGET', KEY, unpack(names, start, stop))
    for i, text in ipairs(texts) do kept[names[start + i - 1]] = text end
  end
end

local function read_all()
  local flat = redis.call('HGETALL', KEY)
  for i = 1, #flat, 2 do kept[flat[i]] = flat[i + 1] end
end

local function save()
  local pairs_set, names_dropped = {}, {}
  for name, text in pairs(changed) do
    if text then
      pairs_set[#pairs_set + 1] = name
      pairs_set[#pairs_set + 1] = text
    else
      names_dropped[#names_dropped + 1] = name
    end
  end
  -- Sets first: a server that is full refuses them, and then nothing has happened.
  for start = 1, #pairs_set, 2 * AT_ONCE do
    redis.call('HSET', KEY, unpack(pairs_set, start, math.min(start + 2 * AT_ONCE - 1, #pairs_set)))
  end
  for start = 1, #names_dropped, AT_ONCE do
    redis.call('HDEL', KEY, unpack(names_dropped, start, math.min(start + AT_ONCE - 1, #names_dropped)))
  end
end

-- Entries.

local sequence, store
local news, news_keys = {}, {} -- entries as they are now, by key, and the keys in order

local function is_json(text)
  -- Half of a pair of surrogates is allowed, as others do: a text may have been cut there.
  return pcall(cjson.decode, text) or pcall(cjson.decode, (string.gsub(text, '\\u[dD]%x%x%x', '\\u0020')))
end

local function entry(key)
  local name = 'entry:' .. key
  local text = field(name)
  if not text then return nil end
  local version, weight, expires, value = string.match(text, '^(%d+) (%S+) (%S+) (.*)$')
  local entry = { text = text, version = tonumber(version), weight = tonumber(weight) }
  expires = tonumber(expires)
  if not (entry.weight and expires and is_json(value)) then
    spoiled(name)
    return nil
  end
  if expires <= now then
    put(name, false)
    return nil
  end
  return entry
end

local function write(key, value, weight, expires, base, quiet)
  local there = entry(key)
  local drops = value == cjson.null
  local knows = not there or there.version == base
  if not knows and (drops or tonumber(weight) <= there.weight) then return there.text end
  if drops and not there then return string.format('%.0f', sequence.now) end
  if not quiet then
    sequence.now = sequence.before + 1
    if not news[key] then news_keys[#news_keys + 1] = key end
  end
  local text = string.format('%.0f', sequence.now)
  if not drops then text = text .. ' ' .. weight .. ' ' .. expires .. ' ' .. value end
  put('entry:' .. key, not drops and text)
  if not quiet then news[key] = text end
  return text
end

-- Limits.

local held_by = {} -- what each process holds, as it is kept
local meters = {}  -- the meters of this exchange
local full = {}

local function unpacked(name, is_sound)
  local text = field(name)
  if not text then return nil end
  local read_well, value = pcall(cmsgpack.unpack, text)
  if read_well and type(value) == 'table' and is_sound(value) then return value end
  spoiled(name)
  return nil
end

local function is_meter(meter)
  if #meter < USED or #meter % 2 == 0 or #meter > OLDEST + 4 * BUCKETS then return false end
  -- It takes nothing but numbers, and eighty limits of sixty buckets are many to look at in Lua.
  return (pcall(math.max, unpack(meter)))
end

local function are_holds(holds)
  local held, expires = holds[1], holds[2]
  if type(held) ~= 'table' or type(expires) ~= 'table' then return false end
  for name, amount in pairs(held) do
    if type(amount) ~= 'number' or type(expires[name]) ~= 'number' then return false end
  end
  return true
end

local function holds_of(process)
  if held_by[process] == nil then
    held_by[process] = unpacked('holds:' .. process, are_holds) or { {}, {} }
  end
  return held_by[process]
end

local function keep_holds(process)
  local holds = held_by[process]
  put('holds:' .. process, next(holds[1]) ~= nil and cmsgpack.pack(holds))
end

local function hold(process, name, amount, expires)
  local holds = holds_of(process)
  local some = amount and amount > 0
  holds[1][name], holds[2][name] = some and amount or nil, some and expires or nil
end

local function bucket_of(moment, width, window)
  return width > 0 and math.floor(moment / width) or window
end

-- Add an amount to a bucket that is still in the window; return how much the bucket has changed.
local function count(meter, bucket, amount, newest, width)
  if width > 0 and bucket < newest - BUCKETS then return math.max(0, amount) end
  -- A clock that is ahead of the server's must not fill a bucket that is long in leaving.
  bucket = math.min(bucket, newest)
  local place = #meter + 1
  while place > OLDEST and meter[place - 2] >= bucket do place = place - 2 end
  if meter[place] ~= bucket then
    if amount <= 0 then return 0 end
    for i = #meter, place, -1 do meter[i + 2] = meter[i] end
    meter[place], meter[place + 1] = bucket, 0
  end
  -- No more can be given back than is there, or the windows after it would hold too much.
  local change = math.max(-meter[place + 1], amount)
  meter[place + 1] = meter[place + 1] + change
  meter[USED] = meter[USED] + change
  return change
end

local function forget(meter, newest, width)
  if width == 0 then return end
  local stale = 0
  for i = OLDEST, #meter, 2 do
    if meter[i] >= newest - BUCKETS then break end
    meter[USED] = meter[USED] - meter[i + 1]
    stale = stale + 2
  end
  if stale == 0 then return end
  local total = #meter
  for i = OLDEST, total do meter[i] = meter[i + stale] end
end

-- Count anew who holds what: what has expired counts as used in the bucket of that moment. Only
-- done when everything was read, and so everything is swept and kept in the end.
local function recount(meter, name, newest, width, window)
  meter[HELD], meter[HOLDERS], meter[FIRST] = 0, 0, math.huge
  for kept_name in pairs(kept) do
    local process = string.match(kept_name, '^holds:(.*)$')
    local holds = process and holds_of(process)
    local amount = holds and holds[1][name]
    if amount then
      local expires = holds[2][name]
      if expires <= now then
        count(meter, bucket_of(expires, width, window), amount, newest, width)
        hold(process, name, nil)
      else
        meter[HELD] = meter[HELD] + amount
        meter[HOLDERS] = meter[HOLDERS] + 1
        meter[FIRST] = math.min(meter[FIRST], expires)
      end
    end
  end
end

-- The first bucket in which something was used; nil if there is none.
local function first_used(meter)
  for i = OLDEST, #meter, 2 do
    if meter[i + 1] > 0 then return meter[i] end
  end
  return nil
end

-- Apply what was used; return how much of it a hold has to cover. `spared` has counted already.
local function apply(meter, used, spared, newest, width)
  local sum = 0
  for i = 1, #used, 2 do
    local amount = used[i + 1]
    local known = math.max(0, math.min(spared, amount))
    spared = spared - known
    if amount ~= known then
      sum = sum + count(meter, width > 0 and used[i] or newest, amount - known, newest, width)
    end
  end
  return sum
end

local function draw(limit, name, capacity, width, window, used, grant, want)
  local newest = bucket_of(now, width, window)
  local meter = meters[name]
  forget(meter, newest, width)
  if meter[FIRST] <= now then recount(meter, name, newest, width, window) end
  local own = holds_of(PROCESS)[1][name]
  local was_full = meter[USED] + meter[HELD] >= capacity
  local others = meter[HELD] - (own or 0)
  local spent = apply(meter, used, own and 0 or grant, newest, width)
  local rest = math.max(0, (own or 0) - spent)
  local held = math.min(want, rest + math.max(0, capacity - meter[USED] - others - rest))
  if window > 0 and window <= now then held = 0 end
  meter[HELD], meter[TOUCHED] = others + held, now
  meter[HOLDERS] = meter[HOLDERS] - (own and 1 or 0) + (held > 0 and 1 or 0)
  if held > 0 then meter[FIRST] = math.min(meter[FIRST], now + asked.hold_s) end
  hold(PROCESS, name, held, now + asked.hold_s)
  if not was_full and meter[USED] + meter[HELD] >= capacity then full[#full + 1] = limit end
  local first, frees_at = first_used(meter), math.huge
  if first and width > 0 then frees_at = (first + BUCKETS + 1) * width end
  if first and window > 0 then frees_at = window end
  return { meter[USED], others, held, meter[HOLDERS], string.format('%.17g', frees_at) }
end

-- Claims.

local function claim_of(key)
  local text = field('claim:' .. key)
  if not text then return nil end
  local expires, wanted, process = string.match(text, '^(%S+) ([01]) (.*)$')
  if not tonumber(expires) then
    spoiled('claim:' .. key)
    return nil
  end
  if tonumber(expires) <= now then return nil end
  return { process = process, wanted = wanted, expires = expires }
end

local function keep_claim(key, expires, wanted, process)
  put('claim:' .. key, expires .. ' ' .. wanted .. ' ' .. process)
end

local function claims(key, is_busy)
  local holder = claim_of(key)
  if holder and holder.process ~= PROCESS then
    keep_claim(key, holder.expires, '1', holder.process)
    return false
  end
  if holder and holder.wanted == '1' and not is_busy then
    put('claim:' .. key, false)
    return false
  end
  keep_claim(key, string.format('%.6f', now + asked.claim_s), holder and holder.wanted or '0', PROCESS)
  return true
end

local function release(key)
  local holder = claim_of(key)
  if not holder or holder.process == PROCESS then put('claim:' .. key, false) end
end

-- What nobody needs any more: seen whenever everything is read.

local function span_of(name)
  local width, window = string.match(name, '^(%S+) (%S+) ')
  return tonumber(width), tonumber(window)
end

local function sweep_holds(process, held_names)
  local holds = holds_of(process)
  for name, expires in pairs(holds[2]) do
    local width, window = span_of(name)
    local is_endless = width == 0 and window == 0
    local ends = width and math.max(window, expires + (BUCKETS + 1) * width) or 0
    -- What would be written off now has left the window by itself.
    if not is_endless and ends + LINGER_S <= now then
      hold(process, name, nil)
    else
      held_names[name] = true
    end
  end
  keep_holds(process)
end

local function sweep_meter(name, held_names)
  local meter = unpacked('meter:' .. name, is_meter)
  if not meter then return end
  local width, window = span_of(name)
  if held_names[name] or (width == 0 and window == 0) then return end
  local ends = width and math.max(window, meter[TOUCHED] + (BUCKETS + 1) * width) or 0
  if ends + LINGER_S <= now then put('meter:' .. name, false) end
end

local function sweep()
  local held_names, names, entries = {}, {}, {}
  for name in pairs(kept) do names[name] = true end
  for name in pairs(changed) do names[name] = true end
  for name in pairs(names) do
    local kind, key = string.match(name, '^(%l+):(.*)$')
    if kind == 'holds' then sweep_holds(key, held_names) end
    if kind == 'claim' and not claim_of(key) then put(name, false) end
    local here = kind == 'entry' and entry(key)
    if here then
      entries[#entries + 1] = key
      entries[#entries + 1] = here.text
    end
  end
  for name in pairs(names) do
    local kind, key = string.match(name, '^(%l+):(.*)$')
    if kind == 'meter' then sweep_meter(key, held_names) end
  end
  return entries
end

-- The exchange.

local function names_asked_for()
  local names = { 'meta' }
  for _, w in ipairs(asked.writes) do names[#names + 1] = 'entry:' .. w[1] end
  for _, d in ipairs(asked.draws) do names[#names + 1] = 'meter:' .. d[2] end
  for _, c in ipairs(asked.claims) do names[#names + 1] = 'claim:' .. c[1] end
  for _, key in ipairs(asked.releases) do names[#names + 1] = 'claim:' .. key end
  if #asked.draws > 0 then names[#names + 1] = 'holds:' .. PROCESS end
  return names
end

local function refusal()
  local schema, number, name = string.match(kept.meta or '', '^capability%-router (%d+) ?(%d*) ?(.*)$')
  if schema == SCHEMA and not tonumber(number) then return { 'corrupt' } end
  if not schema then
    if kept.meta or redis.call('EXISTS', KEY) == 1 then return { 'foreign' } end
    schema, number, name = SCHEMA, '1', NEW_STORE
  end
  if schema ~= SCHEMA then return { 'schema', schema } end
  -- Asked before anything is done; older servers cannot be asked.
  if redis.acl_check_cmd and not redis.acl_check_cmd('PUBLISH', CHANNEL, '') then
    return { 'unheard' }
  end
  sequence = { before = tonumber(number), now = tonumber(number) }
  store = name
  return nil
end

local function open_meters()
  local is_due = false
  for _, d in ipairs(asked.draws) do
    meters[d[2]] = meters[d[2]] or unpacked('meter:' .. d[2], is_meter) or { 0, 0, 0, 0, 0 }
    is_due = is_due or meters[d[2]][FIRST] <= now
  end
  return is_due
end

local function tell()
  if #news_keys == 0 and #full == 0 then return end
  local told = {}
  for i, number in ipairs({ sequence.before, sequence.now, #news_keys }) do
    told[i] = string.format('%.0f', number)
  end
  for _, key in ipairs(news_keys) do
    told[#told + 1] = key
    told[#told + 1] = news[key]
  end
  for _, limit in ipairs(full) do told[#told + 1] = limit end
  redis.call('PUBLISH', CHANNEL, cjson.encode(told))
end

read(names_asked_for())
local refused = refusal()
if refused then return refused end
local is_whole = open_meters() or asked.snapshot
if is_whole then read_all() end

local written, shares, claimed, entries = {}, {}, {}, false
for i, w in ipairs(asked.writes) do written[i] = write(unpack(w)) end
for i, d in ipairs(asked.draws) do shares[i] = draw(unpack(d)) end
for _, key in ipairs(asked.releases) do release(key) end
for _, c in ipairs(asked.claims) do
  if claims(unpack(c)) then claimed[#claimed + 1] = c[1] end
end
for name, meter in pairs(meters) do put('meter:' .. name, cmsgpack.pack(meter)) end
if #asked.draws > 0 then keep_holds(PROCESS) end
if is_whole then entries = sweep() end
put('meta', string.format('capability-router %s %.0f %s', SCHEMA, sequence.now, store))
save()
tell()
return {
  'ok', moment, store, sequence.now,
  written, shares, claimed, asked.snapshot and entries, corrupt,
}
