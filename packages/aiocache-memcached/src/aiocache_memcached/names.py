"""Make the names under which memcached holds the entries: at most 250 bytes, without spaces and control characters.

=====================================  ==========================================================================
finished key                           name in the store
=====================================  ==========================================================================
``user:1``                             ``user:1``: what the server can hold is kept, and other programs find it
``("app", "user:1")``                  ``@app:<generation>:user:1``, eleven letters for the namespace's generation
the generation of ``app``              ``@app:``
``a b``, ``café``, the empty key       ``@:a%20b``, ``@:caf%C3%A9``, ``@:``: percent-encoded
what is longer than 250 bytes then     ``@:=`` and 256 bits of BLAKE2b
=====================================  ==========================================================================

No two keys share a name: :mod:`aiocache_core.keys` makes none that begins with ``@:``, names of entries are longer than
those of generations by the generation itself, and "%" and "=" are escaped where ``@:`` goes before.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import quote_from_bytes

from aiocache_core import keys

Namer: TypeAlias = Callable[[str], bytes]
"""Gives the name of a key's text."""

LONGEST: Final = 250
"""The length (bytes) of the longest name that memcached holds."""

_holdable: Final = re.compile(rb"[!-~]{1,250}").fullmatch
_SAFE: Final = "!\"#$&'()*+,-./:;<>?@[\\]^_`{|}~"
"""What may stand in an encoded name as it is: all printable ASCII but the space, "%" and "="."""


def plain(key: str) -> bytes:
    """Return the name of a key without a namespace."""
    return _fit(keys.encode(key))


def within(namespace: str, generation: bytes) -> Namer:
    """Return the function that gives the names of keys in a namespace of this generation."""
    prefix = b"%b%b:" % (keys.prefix(namespace).encode("utf-8", "surrogatepass"), generation)
    return lambda key: _fit(prefix + key.encode("utf-8", "surrogatepass"))


def generation_of(namespace: str) -> bytes:
    """Return the name of the entry that holds a namespace's generation."""
    return _fit(keys.prefix(namespace).encode("utf-8", "surrogatepass"))


def new_generation() -> bytes:
    """Return a random generation of 64 bits, as eleven letters; two are never the same."""
    return base64.urlsafe_b64encode(secrets.token_bytes(8))[:11]


def _fit(name: bytes) -> bytes:
    """Return a name as the server can hold it; no two names become one."""
    if _holdable(name):
        return name
    encoded = b"@:" + quote_from_bytes(name, _SAFE).encode()
    if len(encoded) <= LONGEST:
        return encoded
    return b"@:=" + base64.urlsafe_b64encode(hashlib.blake2b(name, digest_size=32).digest()).rstrip(b"=")
