"""The floors of the core: a module imports modules of lower floors only, and none imports the package's root."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiocache_core

ROOT = Path(__file__).parents[2]
CORE = ROOT / "packages/aiocache-core/src/aiocache_core"

FLOORS: dict[str, set[str]] = {
    "0 names": {"__about__", "_types", "exceptions"},
    "1 forms": {"_cells", "_encoding", "clients", "hooks", "keys", "overtaking", "records", "urls"},
    "1 contract": {"_expiry", "backend"},
    "1 finding": {"_eviction", "registry"},
    "2 parts": {"callkeys", "disabled", "factory", "flight", "memory", "plugins", "serializers", "sharing"},
    "3 front": {"front"},
    "3 commands": {"cache"},
    "4 on caches": {"aliases", "lock"},
    "5 options": {"policy"},
    "5 one call": {"decorated"},
    "5 decorators": {"decorators", "multi"},
    "6 root": {"__init__", "__main__"},
}
"""From the ground up; what stands on one line imports nothing from that line."""

HEIGHT = {module: height for height, modules in enumerate(FLOORS.values()) for module in modules}


def imports(path: Path, package: str) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of each import, those for type checkers and those inside functions included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} imports relatively; write {package}.…"
            yield from ((node.module or "", alias.name) for alias in node.names)


def modules_of(package: str) -> list[Path]:
    return sorted((ROOT / "packages" / package.replace("_", "-") / "src" / package).rglob("*.py"))


@pytest.mark.parametrize("path", modules_of("aiocache_core"), ids=lambda path: path.stem)
def test_a_module_imports_lower_floors_only(path: Path) -> None:
    assert path.parent == CORE
    assert path.stem in HEIGHT, f"{path.name} needs a place in FLOORS"
    for module, name in imports(path, "aiocache_core"):
        if module.split(".")[0] != "aiocache_core":
            continue
        if module == "aiocache_core" or not module:
            assert name in HEIGHT, f"{path.name} imports {name!r} from the package's root"
            target = name
        else:
            target = module.removeprefix("aiocache_core.")
        assert HEIGHT[target] < HEIGHT[path.stem], f"{path.name} imports {target}, which is no lower floor"


def test_every_module_on_a_floor_exists() -> None:
    assert {path.stem for path in modules_of("aiocache_core")} == set(HEIGHT)


@pytest.mark.parametrize("path", modules_of("aiocache_core"), ids=lambda path: path.stem)
def test_the_core_imports_no_sibling(path: Path) -> None:
    assert [name for name, _ in imports(path, "aiocache_core") if name.startswith(("aiocache.", "aiocache_m"))] == []
    assert [name for name, _ in imports(path, "aiocache_core") if name in {"aiocache", "aiocache_redis"}] == []


SIBLINGS = ["aiocache_memcached", "aiocache_msgpack", "aiocache_redis"]


@pytest.mark.parametrize(
    "path",
    [path for package in [*SIBLINGS, "aiocache"] for path in modules_of(package)],
    ids=lambda path: f"{path.parent.name}.{path.stem}",
)
def test_the_others_import_public_names_of_the_core_only(path: Path) -> None:
    package = path.relative_to(ROOT / "packages").parts[2]
    for module, name in imports(path, package):
        top = module.split(".")[0]
        if not top.startswith("aiocache") or top == package:
            continue
        if package == "aiocache" and top in SIBLINGS:
            assert module == top, f"{path} imports from {module}"
            continue
        assert module == "aiocache_core", f"{path} imports from {module}"
        assert name in aiocache_core.__all__, f"{path} imports {name!r}, which is not public"
