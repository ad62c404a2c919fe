-- Second part of the script: how a limit stands, and what each process holds of it.

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

-- What nobody needs any more: seen whenever everything is read.

-- When nothing is left of what was used at a moment.
local function ends_at(name, moment)
  local width, window = string.match(name, '^(%S+) (%S+) ')
  width, window = tonumber(width), tonumber(window)
  if width == 0 and window == 0 then return math.huge end
  return width and window and math.max(window, moment + (BUCKETS + 1) * width) or 0
end

local function sweep_holds(process, held_names)
  local holds = holds_of(process)
  for name in pairs(holds[1]) do
    -- What would be written off now has left the window by itself.
    if ends_at(name, holds[2][name]) + LINGER_S <= now then
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
  local is_over = ends_at(name, meter[TOUCHED]) + LINGER_S <= now
  if is_over and not held_names[name] then put('meter:' .. name, false) end
end
