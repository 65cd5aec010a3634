"""The files that are built: what a wheel and an sdist of each distribution hold."""

from __future__ import annotations

import tarfile
import zipfile
from collections import Counter
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.packaging.distributions import DISTRIBUTIONS, NAMES, Distribution, build

each = pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=NAMES)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    for distribution in DISTRIBUTIONS:
        build(distribution, target)
    return target


def wheel(built: Path, distribution: Distribution) -> zipfile.ZipFile:
    return zipfile.ZipFile(built / f"{distribution.stem}-py3-none-any.whl")


def metadata(built: Path, distribution: Distribution) -> Message:
    with wheel(built, distribution) as archive:
        return Parser().parsestr(archive.read(f"{distribution.stem}.dist-info/METADATA").decode())


def test_no_two_wheels_own_a_file(built: Path) -> None:
    owned: Counter[str] = Counter()
    for distribution in DISTRIBUTIONS:
        with wheel(built, distribution) as archive:
            owned.update(archive.namelist())
    assert [name for name, owners in owned.items() if owners > 1] == []


@each
def test_a_wheel_holds_its_package_and_nothing_else(built: Path, distribution: Distribution) -> None:
    with wheel(built, distribution) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {distribution.package, f"{distribution.stem}.dist-info"}
    modules = {path.relative_to(distribution.folder / "src").as_posix() for path in distribution.source.rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    assert f"{distribution.package}/py.typed" in names
    assert f"{distribution.stem}.dist-info/licenses/LICENSE" in names


@each
def test_a_wheels_metadata_tells_licence_and_description(built: Path, distribution: Distribution) -> None:
    told = metadata(built, distribution)
    assert told["Name"] == distribution.name
    assert told["Version"] == distribution.version
    assert told["License-Expression"] == "BSD-3-Clause"
    assert told["Description-Content-Type"] == "text/markdown"
    assert str(told.get_payload()).strip() == (distribution.folder / "README.md").read_text("utf-8").strip()


@each
def test_an_sdist_holds_what_the_wheel_is_built_from(built: Path, distribution: Distribution) -> None:
    folder = distribution.stem
    with tarfile.open(built / f"{folder}.tar.gz") as archive:
        names = {name.removeprefix(f"{folder}/") for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", f"src/{distribution.package}/py.typed"} <= names
    assert {name.split("/")[0] for name in names} <= {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "news",
        "pyproject.toml",
        "src",
    }
