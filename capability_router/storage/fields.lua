-- One exchange of a process with all the others, in one step of the server: what is kept, and how.
-- The script is fields.lua, limits.lua and exchange.lua, one after the other.
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
local AT_ONCE = 2000 -- names, or names and texts, in one command: `unpack` has an end
-- That what is over stays, so that limits that are seldom used do not come and go.
local LINGER_S = 3600
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
  local sets, drops = {}, {}
  for name, text in pairs(changed) do
    if text then
      sets[#sets + 1] = name
      sets[#sets + 1] = text
    else
      drops[#drops + 1] = name
    end
  end
  -- Sets first: a server that is full refuses them, and then nothing has happened.
  for start = 1, #sets, AT_ONCE do
    redis.call('HSET', KEY, unpack(sets, start, math.min(start + AT_ONCE - 1, #sets)))
  end
  for start = 1, #drops, AT_ONCE do
    redis.call('HDEL', KEY, unpack(drops, start, math.min(start + AT_ONCE - 1, #drops)))
  end
end
