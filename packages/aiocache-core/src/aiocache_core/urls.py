"""Read a cache's options from a URL such as ``redis://user:password@host:6379/1?pool_max_size=10``; hide its secrets.

No error of this module tells any part of a URL that may hold a secret; a password whose special characters are not
percent-encoded may stand in any part.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from aiocache_core.exceptions import InvalidCacheType

FRONT: Final[Mapping[str, Any]] = {
    "serializer": str,
    "namespace": str,
    "timeout": float | None,
    "ttl": float | None,
}
"""The options of every cache that text can give, with their types."""

_ENCODE: Final = (
    "percent-encode the special characters of user, password and options ('@' as %40, '/' as %2F, '#' as %23)"
)
_TOLD: Final[Mapping[Any, str]] = {
    type(None): "none",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "text",
}
_BOOLEANS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def split(url: object) -> SplitResult:
    """Return the parts of a URL, still percent-encoded.

    Raises ``InvalidCacheType`` for text without a scheme, ``ValueError`` for a URL that can be read in two ways.
    """
    if not isinstance(url, str):
        message = f"a cache's URL must be text such as 'redis://host:6379/0', not {type(url).__name__}"
        raise TypeError(message)
    scheme, separator, _ = url.partition("://")
    if not scheme or not separator:
        message = "a cache's URL must begin with the name of a backend and '://', as in 'redis://host:6379/0'"
        raise InvalidCacheType(message)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - is checked when it is read
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if not parts.scheme or parts.fragment or "@" in parts.path + parts.query:
        message = f"the URL {redact(url)!r} cannot be read; {_ENCODE}"
        raise ValueError(message)
    return parts


def redact(url: str) -> str:
    """Return a URL that may be shown: without user, password and query, and with the scheme alone if in doubt."""
    scheme, separator, _ = url.partition("://")
    hidden = f"{scheme}://***" if separator and scheme.replace("+", "").isalnum() else "***"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return hidden
    if not parts.scheme or not separator or parts.fragment or "@" in parts.path + parts.query:
        return hidden
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    account = "***@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{account}{host}{'' if port is None else f':{port}'}{parts.path}"


def options(
    parts: SplitResult, known: Mapping[str, Any] | Callable[..., Any], *, path: str | None = None
) -> dict[str, Any]:
    """Return the options that a URL holds, as what ``known`` says of their types.

    ``known`` is a mapping from names to types, or a class whose ``__init__`` tells them (the options of every cache are
    known then too). Host, port, user and password become ``endpoint``, ``port``, ``username`` and ``password``, the
    path the option that ``path`` names; they win over the query. Raises ``TypeError`` for an option that is not known
    and ``ValueError`` for text that is not of its type.
    """
    if not isinstance(known, Mapping):
        known = {**FRONT, **parameters(known)}
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        message = f"what follows '?' in a cache's URL must be name=value pairs joined by '&'; {_ENCODE}"
        raise ValueError(message) from None
    texts = dict(pairs)
    if len(texts) != len(pairs):
        message = "an option is given twice in a cache's URL; give it once"
        raise ValueError(message)
    inside = parts.path.strip("/")
    if inside and path is None:
        message = f"a {parts.scheme} URL has no path; write {parts.scheme}://host:port?name=value"
        raise ValueError(message)
    places = {"endpoint": parts.hostname, "username": parts.username, "password": parts.password, path or "": inside}
    texts.update({name: unquote(text) for name, text in places.items() if text})
    if parts.port is not None:
        texts["port"] = str(parts.port)
    return cast_options(texts, known)


def cast_options(options: Mapping[str, str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return options given as text as their parameters' types: bool, int, float, str, None and unions of these.

    Raises ``TypeError`` for an option that is no parameter and ``ValueError`` for text that is not of its type.
    """
    for name in options:
        if name not in parameters:
            told = repr(name) if name.isidentifier() else "whose name is not shown"
            usable = ", ".join(name for name, kind in parameters.items() if _members(kind))
            message = f"a cache's URL holds an unknown option, {told}; these can be given: {usable or 'none'}"
            raise TypeError(message)
    return {name: _cast(name, text, parameters[name]) for name, text in options.items()}


def parameters(owner: Any) -> dict[str, Any]:
    """Return the parameters of a class's ``__init__``, or of a function, with their types, ``str`` if not told."""
    is_class = isinstance(owner, type)
    function = owner.__init__ if is_class else owner
    try:
        hints = typing.get_type_hints(function)
    except NameError:  # of a type that is imported for type checkers only
        hints = {}
    named = list(inspect.signature(function).parameters.values())
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {one.name: hints.get(one.name, str) for one in named[is_class:] if one.kind not in variadic}


def _members(kind: Any) -> list[Any]:
    """Return the members of a type that text is turned into, strictest first; where text may stay text, never None."""
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    given = typing.get_args(kind) if union else (kind,)
    if Any in given:
        return [str]
    return [member for member in _TOLD if member in given and not (member is type(None) and str in given)]


def _cast(name: str, text: str, kind: Any) -> Any:
    members = _members(kind)
    if not members:
        message = f"the option {name!r} cannot be given in a URL; pass it by keyword"
        raise TypeError(message)
    for member in members:
        if member is type(None):
            if text.lower() in ("none", "null", ""):
                return None
        elif member is bool:
            if text.lower() in _BOOLEANS:
                return _BOOLEANS[text.lower()]
        else:
            try:
                return member(text)
            except ValueError:
                continue
    wanted = " or ".join(_TOLD[member] for member in members)
    message = (
        f"the option {name!r} in a cache's URL must be {wanted}; what was given is not shown, as it may be a secret"
    )
    raise ValueError(message)
