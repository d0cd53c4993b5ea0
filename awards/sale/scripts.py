"""What is done to a sale's stock in Redis, each in one step by a script. Times are the server's own.

Of each epoch there are: ``meta``, without which the stock is *cold*; ``requests``, which request has taken or lost;
``persons``, how often each has drawn; ``writes``, what each take came to; and a list of piece numbers for each prize.
"""

ADMIT = """
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local gap = 1000000 / rate
local full = tonumber(redis.call('GET', KEYS[1]) or '0')
if full > now + (burst + 1) * gap then full = now end -- the clock was set back
local early = full - (burst - 1) * gap - now
if early > 0 then return math.ceil(early) end
full = math.max(full, now) + gap
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1000)
return 0
"""
"""A token bucket, kept as the moment from which on it is full. KEYS: the bucket. ARGV: rate a second, burst.

Returns 0, or the microseconds until the next is let in."""

TAKE = """
local write, request, person, limit = unpack(ARGV)
if redis.call('EXISTS', KEYS[1]) == 0 then return {'cold'} end
if write ~= '' then
    local mine = redis.call('HGET', KEYS[4], write)
    if mine == 'void' then return {'void'} end
    if mine then
        local taken = cjson.decode(mine)
        return {'taken', taken.piece, taken.left, taken.turn}
    end
end
local known = redis.call('HGET', KEYS[2], request)
if known and known ~= 'lost' then return {'under_way'} end
if not known and limit ~= '' and tonumber(redis.call('HGET', KEYS[3], person) or '0') >= tonumber(limit) then
    return {'limit'}
end
if write == '' then
    local answer = {'free'}
    for place = 5, #KEYS do answer[#answer + 1] = redis.call('LLEN', KEYS[place]) end
    return answer
end
local piece = redis.call('LPOP', KEYS[5])
if not piece then return {'empty'} end
local left, turn = redis.call('LLEN', KEYS[5]), 0
if left == 0 then turn = redis.call('HINCRBY', KEYS[1], 'turn', 1) end
local taken = {piece = piece, left = left, turn = turn, pieces = KEYS[5], request = request, person = person}
redis.call('HSET', KEYS[4], write, cjson.encode(taken))
redis.call('HSET', KEYS[2], request, write)
if not known then redis.call('HINCRBY', KEYS[3], person, 1) end
return {'taken', piece, left, turn}
"""
"""KEYS: meta, requests, persons, writes, and the prize's pieces. ARGV: the write's id, the request, the person, how
often one may draw.

With no id of a write nothing is taken: it answers how many are left of each prize whose pieces are named."""

TAKE_TURN = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
"""Let one draw of a person go on, and no other until it is over. KEYS: the person's turn.

ARGV: whose it is, and for how many milliseconds."""

END_TURN = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
"""KEYS and the first of ARGV as above."""

FILL = """
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('RPUSH', KEYS[1], unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""
"""Put a part of a prize's pieces in, unless it is there already. KEYS: the prize's pieces.

ARGV: how many are there before it, seconds until all of them end, and the part's numbers, at most some thousands."""

COUNT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HSETNX', KEYS[2], ARGV[1], 'lost') == 0 then return 0 end
return redis.call('HINCRBY', KEYS[3], ARGV[2], 1)
"""
"""Count a draw that took nothing. KEYS as above; ARGV: request, person."""

GIVE_BACK = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'cold' end
local mine = redis.call('HGET', KEYS[4], ARGV[1])
if mine == 'void' then return 'void' end
redis.call('HSET', KEYS[4], ARGV[1], 'void')
if not mine then return 'never' end
local taken = cjson.decode(mine)
redis.call('RPUSH', taken.pieces, taken.piece)
redis.call('HDEL', KEYS[2], taken.request)
redis.call('HINCRBY', KEYS[3], taken.person, -1)
return 'given back'
"""
"""KEYS as above; ARGV: the write's id, which can take nothing from now on."""
