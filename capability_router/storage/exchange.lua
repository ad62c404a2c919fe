-- Last part of the script: entries, claims, and the exchange itself.

-- Entries.

local sequence, store
local news, news_keys = {}, {} -- entries as they are now, by key, and the keys in order

local function is_json(text)
  if pcall(cjson.decode, text) then return true end
  -- Half of a pair of surrogates is allowed elsewhere, and here it is not: a text was cut there.
  return (pcall(cjson.decode, (string.gsub(text, '\\u[dD]%x%x%x', '\\u0020'))))
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
  local expires = string.format('%.6f', now + asked.claim_s)
  keep_claim(key, expires, holder and holder.wanted or '0', PROCESS)
  return true
end

local function release(key)
  local holder = claim_of(key)
  if not holder or holder.process == PROCESS then put('claim:' .. key, false) end
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
  local form = '^capability%-router (%d+) ?(%d*) ?(.*)$'
  local schema, number, name = string.match(kept.meta or '', form)
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
