"""Say in the cache's own errors what redis-py raises; the one place where that is done."""

from __future__ import annotations

import asyncio
from typing import Final

from redis import exceptions

from aiocache_core import BackendError, BackendUnavailable, ValueTooLarge

RAISED: Final[tuple[type[Exception], ...]] = (exceptions.RedisError, OSError, asyncio.IncompleteReadError)
"""What redis-py raises of itself."""

_REFUSED: Final = (
    exceptions.ResponseError,
    exceptions.DataError,
    exceptions.AuthenticationError,  # redis-py calls these two connection errors, though the server answers and says no
    exceptions.AuthorizationError,
)


CLOSED: Final = "the cache was closed in the middle of the command"


def mapped(error: BaseException, where: str, *, closed: bool = False) -> BackendError:
    """Return the cache's error for one of redis-py's; the caller keeps the cause (``raise … from``).

    A server that does not know a command repeats its arguments, a password or a value among them: these are taken out.
    """
    reason, repeated, _ = str(error).partition(", with args beginning with")
    if repeated:
        error.args = (reason,)
    reason = reason or type(error).__name__
    if closed:
        return BackendUnavailable(f"{where}: {CLOSED}")
    if isinstance(error, _REFUSED):
        if "exceeds maximum allowed size" in reason or "invalid bulk length" in reason:
            return ValueTooLarge(f"{where} takes no value so large: {reason}")
        return BackendError(f"{where} refused: {reason}")
    return BackendUnavailable(f"{where} cannot be reached, or was lost in the middle of a command: {reason}")
