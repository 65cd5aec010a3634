"""Hold the scripts, each of one key, by which redis does in one step what takes several commands.

A key that holds only the mark of a lease counts as missing in all of them. ``PX`` stands for the arguments of an expiry in
milliseconds, 0 for none.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NamedTuple

from aiocache_core import records

_MARK: Final = "".join(f"\\{byte}" for byte in records.MARK_PREFIX)

_PRELUDE: Final = f"""
local key = KEYS[1]
local function is_mark(value) return value and string.sub(value, 1, {len(records.MARK_PREFIX)}) == "{_MARK}" end
local function beginning()
    local value = redis.pcall("GETRANGE", key, 0, {len(records.MARK_PREFIX) - 1})
    return type(value) == "string" and value or ""
end
local function put(value, px)
    if px == "0" then redis.call("SET", key, value) else redis.call("SET", key, value, "PX", px) end
end
"""


class Script(NamedTuple):
    """Be a script and the name under which the server knows it."""

    text: str
    sha: str


def _script(body: str) -> Script:
    text = _PRELUDE + body
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


EXISTS: Final = _script('if is_mark(beginning()) then return 0 end return redis.call("EXISTS", key)')

ADD: Final = _script("""
if redis.call("EXISTS", key) == 1 and not is_mark(beginning()) then return 0 end
put(ARGV[1], ARGV[2])
return 1
""")
"""value, PX -> 1 if stored."""

DELETE: Final = _script("""
local mark = is_mark(beginning())
local removed = redis.call("UNLINK", key)
if not mark then return removed end
redis.pcall("PUBLISH", ARGV[1] .. key, "")
return 0
""")
"""channel -> 1 if a value was there."""

EXPIRE: Final = _script("""
if redis.call("EXISTS", key) == 0 or is_mark(beginning()) then return 0 end
if ARGV[1] == "0" then redis.call("PERSIST", key) else redis.call("PEXPIRE", key, ARGV[1]) end
return 1
""")
"""PX -> 1 if a value was there."""

EXPIRES_IN: Final = _script('if is_mark(beginning()) then return -2 end return redis.call("PTTL", key)')
"""-> milliseconds, -1 without expiry, -2 for a missing key."""

INCREMENT: Final = _script("""
if redis.call("EXISTS", key) == 0 or is_mark(beginning()) then
    put(ARGV[1], ARGV[2])
    return ARGV[1]
end
redis.call("INCRBY", key, ARGV[1])
return redis.call("GET", key)
""")
"""delta, PX -> the result as text: a number of a script holds 53 bits only."""

CAS: Final = _script("""
if redis.call("GET", key) ~= ARGV[1] then return 0 end
if ARGV[2] == "delete" then redis.call("UNLINK", key)
elseif ARGV[2] == "keep" then redis.call("SET", key, ARGV[3], "KEEPTTL")
else put(ARGV[3], ARGV[2]) end
return 1
""")
"""what was read, PX or "keep" or "delete", value -> 1 if it was still there."""

LEASE: Final = _script("""
local value = redis.call("GET", key)
if not value then
    redis.call("SET", key, ARGV[1], "PX", ARGV[2])
    return nil
end
if not is_mark(value) then return value end
local left = redis.call("PTTL", key)
if left < 0 then redis.call("PEXPIRE", key, ARGV[2]) return tonumber(ARGV[2]) end
return left
""")
"""mark, PX -> nothing if the lease is ours, milliseconds if it is another's, or the value.

A mark that somebody has made to stay for ever gets an expiry again.
"""

RENEW: Final = _script("""
if redis.call("GET", key) ~= ARGV[1] then return 0 end
return redis.call("PEXPIRE", key, ARGV[2])
""")
"""mark, PX -> 1 if it is ours."""

STORE_LEASED: Final = _script("""
local ours = redis.call("GET", key) == ARGV[1]
if ours then put(ARGV[2], ARGV[3]) end
redis.pcall("PUBLISH", ARGV[4] .. key, "")
return ours and 1 or 0
""")
"""mark, value, PX, channel -> 1 if stored."""

RELEASE: Final = _script("""
if redis.call("GET", key) == ARGV[1] then redis.call("UNLINK", key) end
redis.pcall("PUBLISH", ARGV[2] .. key, "")
return 1
""")
"""mark, channel."""
