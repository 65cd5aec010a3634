"""Make small distributions in a temporary folder, as if they were installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from aiocache_core import registry

BACKEND = """
from aiocache_core.backend import Abilities, Backend

class Store(Backend):
    abilities = Abilities({abilities})
    async def get(self, key): ...
    async def set(self, key, stored, ttl): ...
    async def add(self, key, stored, ttl): ...
    async def delete(self, key): ...
    async def expire(self, key, ttl): ...
    async def clear(self, namespace): ...
"""


def backend(abilities: str = "") -> str:
    """Return the source of a module with a backend class ``Store``."""
    return BACKEND.format(abilities=abilities)


class FakeDistributions:
    """Write distributions, one folder each, for programs whose path has these folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: list[str] = []

    def add(
        self,
        name: str,
        version: str = "1.0",
        *,
        backends: Mapping[str, str] | None = None,
        serializers: Mapping[str, str] | None = None,
        plugins: Mapping[str, str] | None = None,
        modules: Mapping[str, str] | None = None,
    ) -> None:
        """Write a distribution with entry points (name to ``module:Class``) and modules (name to source)."""
        place = self.folder / f"{name}-{version}"
        info = place / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines: list[str] = []
        for kind, entries in (("backends", backends), ("serializers", serializers), ("plugins", plugins)):
            lines += [f"[aiocache.{kind}]", *(f"{entry} = {target}" for entry, target in (entries or {}).items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in (modules or {}).items():
            (place / f"{module}.py").write_text(source)
        self.paths.insert(0, str(place))
        self.appeared(str(place), list(modules or {}))

    def appeared(self, place: str, modules: list[str]) -> None:
        """Be told of a new distribution; nothing to do for those of another process."""


class Installed(FakeDistributions):
    """Write distributions that this process has too, without those that are really installed."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self._replaced: dict[str, ModuleType | None] = {}
        patch.setattr(sys, "path", [self._without_ours(Path(place)) for place in sys.path])
        patch.setattr(registry, "_installed", {})

    def appeared(self, place: str, modules: list[str]) -> None:
        """Make its modules those that are imported."""
        for module in modules:
            known = [name for name in sys.modules if name.startswith(f"{module}.")]
            for name in (module, *known):
                self._replaced.setdefault(name, sys.modules.pop(name, None))
        sys.path.insert(0, place)  # the list made above; `syspath_prepend` would put it back after the real one
        importlib.invalidate_caches()

    def _without_ours(self, place: Path) -> str:
        """Return a folder with the same modules as ``place`` but without the distributions of aiocache."""
        if not any(place.glob("aiocache*.dist-info")):
            return str(place)
        shadow = self.folder / "site-packages"
        shadow.mkdir()
        for entry in place.iterdir():
            if not (entry.name.startswith("aiocache") and entry.suffix == ".dist-info"):
                (shadow / entry.name).symlink_to(entry)
        return str(shadow)

    def leave(self) -> None:
        """Put the modules back that were there before."""
        for module, before in self._replaced.items():
            sys.modules.pop(module, None)
            if before is not None:
                sys.modules[module] = before
