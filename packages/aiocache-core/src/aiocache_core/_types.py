"""Define the sentinels and the small types that every floor shares."""

from __future__ import annotations

import enum
import math
from datetime import timedelta
from typing import Any, Final, TypeAlias


class Unset(enum.Enum):
    """Stand for an argument that was not given."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.name

    def __bool__(self) -> bool:
        return False


class Miss(enum.Enum):
    """Stand for the absence of an entry; a stored ``None`` is a value, never a miss."""

    MISS = "MISS"

    def __repr__(self) -> str:
        return self.name

    def __bool__(self) -> bool:
        return False


class Keep(enum.Enum):
    """Stand for "leave the expiry as it is" in a compare-and-set."""

    KEEP = "KEEP"

    def __repr__(self) -> str:
        return self.name


UNSET: Final = Unset.UNSET
MISS: Final = Miss.MISS
KEEP: Final = Keep.KEEP

Key: TypeAlias = str | tuple[str, str]
"""A finished key: the text itself, or ``(namespace, text)`` with a namespace that is not empty."""

TTL: TypeAlias = int | float | timedelta | None
"""A time to live in seconds; ``None``, 0 and infinity mean "no expiry"."""

Stored: TypeAlias = Any
"""What a backend holds: ``str | bytes`` over a network, any object in memory."""


def seconds(ttl: TTL, what: str = "ttl") -> float | None:
    """Return a ttl as positive seconds, or ``None`` for "no expiry" (``None``, 0, infinity, and integers beyond all floats).

    Raises ``TypeError`` for a bool or anything that is no number, ``ValueError`` for a negative number or NaN.
    """
    if ttl is None:
        return None
    if type(ttl) is float and 0 < ttl < math.inf:  # the usual kind first: this is a part of each set with ttl
        return ttl
    if isinstance(ttl, timedelta):
        ttl = ttl.total_seconds()
    if isinstance(ttl, bool) or not isinstance(ttl, int | float):
        message = f"{what} must be a number of seconds, a timedelta or None, not {ttl!r} ({type(ttl).__name__})"
        raise TypeError(message)
    if not ttl >= 0:
        instead = "0 or None for no expiry, delete() to remove" if what == "ttl" else "0 or None for none"
        message = f"{what} must not be negative or NaN, got {ttl!r}; use {instead}"
        raise ValueError(message)
    try:
        exact = float(ttl)
    except OverflowError:
        return None
    return exact if 0 < exact < math.inf else None
