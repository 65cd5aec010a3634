"""Make keys: the text of one key, and the one form in which stores with flat names hold it.

Stored form (the forms of every release are kept in ``tests/core/test_keys.py``):

======================  =======================  ==================================================
namespace, key          stored as                why
======================  =======================  ==================================================
none, ``user:1``        ``user:1``               other programs find it
none, ``@x``            ``@@x``                  a leading "@" announces a namespace
``app``, ``user:1``     ``@app:user:1``          the first ":" ends the namespace
``a:b%``, ``k``         ``@a%3Ab%25:k``          so ":" and "%" in a namespace are escaped
``@a``, ``k``           ``@%40a:k``              and an "@" where it would read as a doubled one
======================  =======================  ==================================================
"""

from __future__ import annotations

from enum import Enum

from aiocache_core._types import Key


def text(key: object) -> str:
    """Return a key as text: a str, an Enum's value, an int, or UTF-8 bytes; ``1`` and ``"1"`` are one key.

    Raises ``TypeError`` for any other type, ``ValueError`` for bytes that are not UTF-8.
    """
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bytes):
        try:
            return key.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            message = f"a key given as bytes must be UTF-8, got {key!r}; pass key.hex() instead"
            raise ValueError(message) from None
    if isinstance(key, int) and not isinstance(key, bool):
        return int.__repr__(key)
    message = f"a key must be str, int, bytes or an Enum of these, not {key!r} ({type(key).__name__})"
    raise TypeError(message)


def finish(key: object, namespace: str | None) -> Key:
    """Return the finished key: the text, or ``(namespace, text)`` if the namespace is neither None nor empty."""
    return (namespace, text(key)) if namespace else text(key)


def join(key: Key) -> str:
    """Return the flat name of a finished key; no two finished keys share one."""
    if isinstance(key, str):
        return "@" + key if key.startswith("@") else key
    return prefix(key[0]) + key[1]


def prefix(namespace: str) -> str:
    """Return what the flat names of a namespace, and no others, begin with."""
    escaped = namespace.replace("%", "%25").replace(":", "%3A")
    if escaped.startswith("@"):
        escaped = "%40" + escaped[1:]
    return f"@{escaped}:"


def split(name: str) -> Key:
    """Return the finished key of a flat name; the inverse of :func:`join`.

    Raises ``ValueError`` for a name that ``join`` does not make.
    """
    if not name.startswith("@"):
        return name
    if name.startswith("@@"):
        return name[1:]
    escaped, colon, key = name[1:].partition(":")
    if escaped.startswith("%40"):
        escaped = "@" + escaped[3:]
    namespace = escaped.replace("%3A", ":").replace("%25", "%")
    if not colon or not namespace or join((namespace, key)) != name:
        message = f"{name!r} is not the stored form of a key"
        raise ValueError(message)
    return (namespace, key)


def encode(key: Key) -> bytes:
    """Return the flat name as UTF-8 bytes, lone surrogates included."""
    return join(key).encode("utf-8", "surrogatepass")


def decode(name: bytes) -> Key:
    """Return the finished key of a flat name in bytes; the inverse of :func:`encode`."""
    return split(name.decode("utf-8", "surrogatepass"))
