"""Find backends, serializers and plugins by name: the core's own, and those of installed distributions by entry points.

A name is ``"redis"``, or ``"redis@aiocache-redis"`` where two distributions offer one name, or the dotted name of a
class, ``"package.module.Class"``. Only what is asked for is imported. The core's own names and dotted names need no
look at what is installed, which costs some milliseconds; any other name needs one for each process.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from aiocache_core.__about__ import __version__
from aiocache_core.backend import CONTRACT, Backend
from aiocache_core.exceptions import CacheError, InvalidCacheType, NotInstalled, PluginConflict, PluginLoadError

if TYPE_CHECKING:
    from importlib_metadata import EntryPoint

Kind: TypeAlias = Literal["backends", "serializers", "plugins"]

CORE: Final = "aiocache-core"
OLDEST_CONTRACT: Final = 1
"""The oldest contract version whose backends this core can use."""

BUILT_IN: Final[dict[Kind, dict[str, str]]] = {
    "backends": {"memory": "aiocache_core.cache:MemoryCache"},
    "serializers": {
        "null": "aiocache_core.serializers:NullSerializer",
        "string": "aiocache_core.serializers:StringSerializer",
        "json": "aiocache_core.serializers:JsonSerializer",
        "pickle": "aiocache_core.serializers:PickleSerializer",
    },
    "plugins": {
        "timing": "aiocache_core.plugins:TimingPlugin",
        "hit_miss_ratio": "aiocache_core.plugins:HitMissRatioPlugin",
    },
}
"""The core's own names, which no other distribution can take."""

KNOWN: Final[dict[Kind, dict[str, str]]] = {
    "backends": {"redis": "aiocache-redis", "memcached": "aiocache-memcached"},
    "serializers": {"msgpack": "aiocache-msgpack"},
    "plugins": {},
}
"""Which distribution offers a name, for the line to type when it is not installed."""

SCHEMES: Final[dict[str, str]] = {"rediss": "redis", "valkey": "redis", "valkeys": "redis"}
"""The backends of those URL schemes that are no backend's name."""

EXPECTED: Final[dict[Kind, str]] = {
    "backends": "a subclass of aiocache_core.Backend, or one of aiocache_core.Cache that has a backend_class",
    "serializers": "a class with the methods dumps and loads",
    "plugins": "a class of plugins",
}

_installed: dict[Kind, dict[str, dict[str, EntryPoint]]] = {}
"""What the last look at the installed distributions has found: kind -> name -> distribution -> entry point."""


class Row(NamedTuple):
    """Tell of one name in the listing."""

    kind: Kind
    name: str
    distribution: str
    version: str
    contract: int | None
    """The contract version, of a backend that can be loaded."""
    problem: str | None
    """Why it cannot be used by this name, or None."""


def resolve(kind: Kind, spec: object) -> Any:
    """Return the class that a name stands for; a class is checked and returned.

    Raises ``NotInstalled``, ``PluginConflict``, ``PluginLoadError``, or plainly ``InvalidCacheType`` (their base)
    for anything that leads to no class of this kind.
    """
    if isinstance(spec, type):
        return _checked(kind, spec, f"the class {spec.__module__}.{spec.__qualname__}", error=InvalidCacheType)
    if not isinstance(spec, str):
        message = (
            f"{_one(kind)} is given by a name such as {next(iter(BUILT_IN[kind]))!r} or by its class, "
            f"not by an object of {type(spec).__name__}"
        )
        raise InvalidCacheType(message)
    if ":" in spec or "/" in spec:  # not told in the message: it may hold a password
        message = f"a URL is not the name of {_one(kind)}; use Cache.from_url(url), or a name such as 'redis'"
        raise InvalidCacheType(message)
    name, _, distribution = spec.partition("@")
    if "." in name and not distribution:
        return _dotted(kind, name)
    if name in BUILT_IN[kind]:
        if distribution and _normal(distribution) != CORE:
            message = f"the name {name!r} belongs to {CORE}; ask the authors of {distribution} for another name"
            raise InvalidCacheType(message)
        return _import(BUILT_IN[kind][name])
    return _from_entry_point(kind, name, _normal(distribution))


def resolve_scheme(scheme: str) -> Any:
    """Return the backend's class of a URL's scheme: the backend of that name, or the one in ``SCHEMES``."""
    if not scheme or set(scheme) & set(".@"):
        message = f"a cache's URL begins with the name of a backend, as in redis://host:6379/0, not with {scheme!r}"
        raise InvalidCacheType(message)
    if scheme in SCHEMES and scheme not in _scan("backends"):
        scheme = SCHEMES[scheme]
    return resolve("backends", scheme)


def build(kind: Kind, spec: object) -> Any:
    """Return an object from a name or a configuration ``{"class": name or class, **options}``; else ``spec`` itself."""
    if isinstance(spec, str):
        return resolve(kind, spec)()
    if isinstance(spec, Mapping):
        options = dict(spec)
        if "class" not in options:
            message = (
                f"the configuration of {_one(kind)} needs the entry 'class' (a name or a class), got {list(options)}"
            )
            raise InvalidCacheType(message)
        return resolve(kind, options.pop("class"))(**options)
    return spec


def names(kind: Kind) -> list[str]:
    """Return the names that can be used now, sorted; nothing is imported to see whether it loads."""
    return sorted({*BUILT_IN[kind], *_scan(kind, again=True)})


def listing() -> list[Row]:
    """Return a row for each name of each distribution, after loading what it names."""
    rows: list[Row] = []
    for kind, table in BUILT_IN.items():
        rows += [_row(kind, name, CORE, __version__, ()) for name in sorted(table)]
        for name, offers in sorted(_scan(kind, again=True).items()):
            rows += [
                _row(kind, name, owner, _version(entry), sorted({*offers} - {owner}))
                for owner, entry in sorted(offers.items())
                if owner != CORE
            ]
    return rows


def old_aiocache() -> str | None:
    """Return the version of an installed ``aiocache`` that is older than 1.0, or None."""
    import importlib_metadata

    try:
        version: str | None = importlib_metadata.version("aiocache")
    except (importlib_metadata.PackageNotFoundError, KeyError):
        return None
    return version if version and version.startswith("0.") else None


def _row(kind: Kind, name: str, owner: str, version: str, others: Sequence[str]) -> Row:
    contract = problem = None
    if name in BUILT_IN[kind] and owner != CORE:
        problem = f"the name belongs to {CORE}; the distribution must choose another one"
    elif name != name.lower() or set(name) & set(".:/@"):
        problem = (
            "a name is lower-case and has none of the characters . : / @; the distribution must choose another one"
        )
    else:
        try:
            found = resolve(kind, f"{name}@{owner}")
            contract = _backend_class(found).abilities.contract if kind == "backends" else None
        except Exception as error:  # noqa: BLE001 - whatever a plugin does wrong is told in its row
            problem = str(error)
        else:
            if others:
                problem = f"{' and '.join(others)} offers the name too; write '{name}@{owner}'"
    return Row(kind, name, owner, version, contract, problem)


def _scan(kind: Kind, *, again: bool = False) -> dict[str, dict[str, EntryPoint]]:
    """Return what is installed, from memory unless told to look again."""
    if again or kind not in _installed:
        import importlib_metadata

        found: dict[str, dict[str, EntryPoint]] = {}
        for entry in importlib_metadata.entry_points(group=f"aiocache.{kind}"):
            found.setdefault(entry.name, {})[_distribution(entry)] = entry
        _installed[kind] = found
    return _installed[kind]


def _from_entry_point(kind: Kind, name: str, distribution: str) -> Any:
    offers = _scan(kind).get(name, {})
    if not offers or (distribution and distribution not in offers):
        offers = _scan(kind, again=True).get(name, {})  # it may have been installed since
    if distribution:
        offers = {owner: entry for owner, entry in offers.items() if owner == distribution}
    if not offers:
        raise _unknown(kind, name, distribution)
    if len(offers) > 1:
        choices = " or ".join(repr(f"{name}@{owner}") for owner in sorted(offers))
        message = f"{' and '.join(sorted(offers))} both offer {_one(kind)} {name!r}; write {choices}"
        raise PluginConflict(message)
    ((owner, entry),) = offers.items()
    told = f"{_one(kind, 'the')} {name!r} of {owner} {_version(entry)}"
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:
        message = (
            f"{told} cannot be imported from {entry.value!r}: {_cause(error)}; "
            f"try 'pip install -U {owner} {CORE}', or remove {owner}"
        )
        raise PluginLoadError(message) from error
    return _checked(kind, found, told, owner=owner)


def _dotted(kind: Kind, name: str) -> Any:
    module_name, _, attribute = name.rpartition(".")
    root = module_name.partition(".")[0]
    try:
        found = getattr(import_module(module_name), attribute)
    except CacheError:  # the facade's own word on a class whose distribution is missing
        raise
    except (Exception, SystemExit) as error:
        if root == "aiocache" and (old := old_aiocache()):
            raise _too_old(repr(name), old) from error
        known = {owner.replace("-", "_"): owner for owners in KNOWN.values() for owner in owners.values()}
        known["aiocache"] = "aiocache"
        if isinstance(error, ModuleNotFoundError) and error.name == root and root in known:
            message = f"{name!r} belongs to a distribution that is not installed: pip install {known[root]}"
            raise NotInstalled(message) from error
        message = (
            f"{name!r} cannot be imported: {_cause(error)}; expected the dotted name of {EXPECTED[kind]}, "
            f"or one of the names {', '.join(names(kind))}"
        )
        raise PluginLoadError(message) from error
    return _checked(kind, found, f"{name!r}")


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _checked(
    kind: Kind, found: Any, told: str, *, owner: str | None = None, error: type[InvalidCacheType] = PluginLoadError
) -> Any:
    """Return what was found if it is a class of this kind whose contract version this core speaks."""
    if isinstance(found, type) and (old := _old_class(found)):
        raise _too_old(told, old)
    if not _fits(kind, found):
        hint = ""
        if not isinstance(found, type):
            hint = f"; it is an object of {type(found).__name__}"
            if _fits(kind, type(found)):
                hint += ": name the class, not an instance of it (have you put () after it?)"
        message = f"{told} must be {EXPECTED[kind]}{hint}"
        raise error(message)
    if kind == "backends":
        _check_contract(_backend_class(found), told, owner)
    return found


def _fits(kind: Kind, found: Any) -> bool:
    if not isinstance(found, type):
        return False
    if kind == "backends":
        backend = _backend_class(found)
        return isinstance(backend, type) and issubclass(backend, Backend)
    if kind == "serializers":
        return callable(getattr(found, "dumps", None)) and callable(getattr(found, "loads", None))
    return True


def _backend_class(found: type) -> Any:
    return found if issubclass(found, Backend) else getattr(found, "backend_class", None)


def _check_contract(backend: Any, told: str, owner: str | None) -> None:
    contract = getattr(backend.abilities, "contract", None)
    if not isinstance(contract, int) or contract < OLDEST_CONTRACT:
        upgrade = f"pip install -U {owner}" if owner else "upgrade the distribution that it comes from"
    elif contract > CONTRACT:
        upgrade = f"pip install -U {CORE}"
    else:
        return
    message = (
        f"{told} speaks contract version {contract}, but {CORE} {__version__} speaks "
        f"{OLDEST_CONTRACT} to {CONTRACT}: {upgrade}"
    )
    raise PluginLoadError(message)


def _old_class(found: type) -> str | None:
    """Return the version of the aiocache before 1.0 that a class comes from or is derived from, or None."""
    version = str(getattr(sys.modules.get("aiocache"), "__version__", ""))
    if version.startswith("0.") and any(base.__module__.partition(".")[0] == "aiocache" for base in found.__mro__):
        return version
    return None


def _too_old(told: str, version: str) -> InvalidCacheType:
    return InvalidCacheType(f"{told} comes from aiocache {version}, which {CORE} cannot use: pip install -U aiocache")


def _unknown(kind: Kind, name: str, distribution: str) -> InvalidCacheType:
    """Return the error for a name that nobody installed offers."""
    import difflib

    installed = _scan(kind)
    known = KNOWN[kind]
    if name in installed:
        offers = ", ".join(f"{name}@{owner}" for owner in sorted(installed[name]))
        return InvalidCacheType(f"{distribution} offers no {_noun(kind)} {name!r}; installed: {offers}")
    if name in known and distribution in ("", known[name]):
        return NotInstalled(f"{_one(kind, 'the')} {name!r} is not installed: pip install {known[name]}")
    usable = sorted({*BUILT_IN[kind], *installed})
    near = difflib.get_close_matches(name.lower(), {*usable, *known}, n=3)
    message = f"there is no {_noun(kind)} {name!r}" + (
        f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    )
    message += f" Installed: {', '.join(usable)}."
    absent = [f"{other} (pip install {owner})" for other, owner in sorted(known.items()) if other not in installed]
    if absent:
        message += f" Not installed: {', '.join(absent)}."
    return InvalidCacheType(message)


def _noun(kind: Kind) -> str:
    return kind.removesuffix("s")


def _one(kind: Kind, article: str = "a") -> str:
    return f"{article} {_noun(kind)}"


def _cause(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _normal(distribution: str) -> str:
    """Return a distribution's name in the form in which names are compared (PEP 503)."""
    words = distribution.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(filter(None, words))


def _distribution(entry: EntryPoint) -> str:
    try:
        return _normal(entry.dist.name) if entry.dist is not None else "unknown"
    except (KeyError, AttributeError):  # its metadata does not say
        return "unknown"


def _version(entry: EntryPoint) -> str:
    try:
        return str(entry.dist.version) if entry.dist is not None else "unknown"
    except KeyError:
        return "unknown"
