"""What each distribution promises, as its own files say it."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from aiocache_core import registry
from tests.packaging.distributions import DISTRIBUTIONS, NAMES, ROOT, SIBLINGS, Distribution

each = pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)


def test_every_folder_is_held_by_these_tests() -> None:
    assert sorted(path.name for path in (ROOT / "packages").iterdir() if (path / "pyproject.toml").is_file()) == NAMES


@each
def test_it_has_what_a_distribution_needs(distribution: Distribution) -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE", "news/README.md"):
        assert (distribution.folder / name).is_file(), name
    for name in ("__init__.py", "__about__.py", "py.typed"):
        assert (distribution.source / name).is_file(), name
    assert (distribution.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@each
def test_its_version_has_an_entry_in_the_changelog(distribution: Distribution) -> None:
    assert re.fullmatch(
        r"1\.\d+\.\d+", distribution.version
    )  # 0.12.3 of aiocache is on the index: lower ones would lose
    assert f"\n## {distribution.version}" in (distribution.folder / "CHANGELOG.md").read_text("utf-8")


@each
def test_its_news_are_one_sentence_each(distribution: Distribution) -> None:
    for path in (distribution.folder / "news").iterdir():
        assert re.fullmatch(r"README\.md|[a-z0-9-]+\.(added|changed|fixed|removed)\.md", path.name), path
        if path.name != "README.md":
            assert re.fullmatch(r"[^\n]+(\n[^\n]+)*\.\n", path.read_text("utf-8")), path


@each
def test_it_runs_on_every_python_from_311(distribution: Distribution) -> None:
    assert distribution.project["requires-python"] == ">=3.11"


@each
def test_no_dependency_is_pinned(distribution: Distribution) -> None:
    needed = distribution.project["dependencies"]
    optional = distribution.project.get("optional-dependencies", {}).values()
    for requirement in chain(needed, *optional):
        assert "==" not in requirement
        assert ">=" in requirement or requirement.startswith("aiocache[")


@pytest.mark.parametrize("name", ["aiocache", *SIBLINGS])
def test_the_others_need_a_compatible_range_of_the_core(name: str) -> None:
    assert "aiocache-core>=1.0,<2" in Distribution(name).project["dependencies"]


def test_the_facade_offers_each_sibling_as_an_extra() -> None:
    extras = dict(Distribution("aiocache").project["optional-dependencies"])
    names = [name.removeprefix("aiocache-") for name in SIBLINGS]
    assert sorted(extras.pop("all")[0].removeprefix("aiocache[").removesuffix("]").split(",")) == names
    assert extras == {name: [f"aiocache-{name}>=1.0,<2"] for name in names}


def test_the_cores_table_of_built_ins_is_what_it_declares() -> None:
    declared = Distribution("aiocache-core").project["entry-points"]
    assert declared == {f"aiocache.{kind}": table for kind, table in registry.BUILT_IN.items()}


def test_the_cores_table_of_known_names_is_what_the_siblings_declare() -> None:
    declared: dict[str, dict[str, str]] = {kind: {} for kind in registry.KNOWN}
    for name in SIBLINGS:
        for group, entries in Distribution(name).project["entry-points"].items():
            declared[group.removeprefix("aiocache.")] |= dict.fromkeys(entries, name)
    assert declared == registry.KNOWN
