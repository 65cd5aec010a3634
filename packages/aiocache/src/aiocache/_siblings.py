"""Import the classes of sibling distributions when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def installed(siblings: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return the names whose module is installed; nothing is imported."""
    return [name for name, (module, _) in siblings.items() if find_spec(module) is not None]


def lazily(package: str, siblings: Mapping[str, tuple[str, str]]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__``: ``siblings`` maps a class to its module and to the extra that installs it."""

    def get(name: str) -> Any:
        if name not in siblings:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        module, extra = siblings[name]
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            message = f"{name} is not installed; type: pip install aiocache[{extra}]"
            raise ImportError(message, name=module) from error

    return get
