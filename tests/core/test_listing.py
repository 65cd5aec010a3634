"""Hold what ``python -m aiocache_core`` prints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiocache_core.registry as registry_module
from aiocache_core import registry
from aiocache_core.__main__ import main, table
from aiocache_core.registry import Row
from tests.core.fakes import FakeDistributions, Installed, backend

SOURCE = str(Path(registry_module.__file__).parents[1])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    distributions = Installed(tmp_path, monkeypatch)
    yield distributions
    distributions.leave()


def rows(distribution: str) -> list[Row]:
    return [row for row in registry.listing() if row.distribution == distribution]


def test_the_built_in_names_are_listed_and_usable(installed: Installed) -> None:
    assert [(row.kind, row.name) for row in rows("aiocache-core")] == [
        ("backends", "memory"),
        ("serializers", "json"),
        ("serializers", "null"),
        ("serializers", "pickle"),
        ("serializers", "string"),
        ("plugins", "hit_miss_ratio"),
        ("plugins", "timing"),
    ]
    assert [row.problem for row in rows("aiocache-core")] == [None] * 7
    assert rows("aiocache-core")[0].contract == 1


def test_the_cores_own_entry_points_are_not_listed_twice(installed: Installed) -> None:
    installed.add("aiocache-core", "1.0.0", serializers={"json": "aiocache_core.serializers:JsonSerializer"})
    assert len(rows("aiocache-core")) == 7


def test_a_backend_is_listed_with_its_contract(installed: Installed) -> None:
    installed.add("aiocache-mine", "2.1", backends={"mine": "mine_a:Store"}, modules={"mine_a": backend()})
    assert rows("aiocache-mine") == [Row("backends", "mine", "aiocache-mine", "2.1", 1, None)]


def test_one_that_cannot_be_loaded_says_why_and_the_others_are_listed(installed: Installed) -> None:
    installed.add("aiocache-bad", serializers={"bad": "bad_b:S"}, modules={"bad_b": "raise RuntimeError('broken')"})
    installed.add("aiocache-good", serializers={"good": "good_b:S"}, modules={"good_b": "class S: dumps = loads = len"})
    (bad,) = rows("aiocache-bad")
    assert "RuntimeError: broken" in str(bad.problem)
    assert rows("aiocache-good") == [Row("serializers", "good", "aiocache-good", "1.0", None, None)]


def test_a_reserved_name_is_told(installed: Installed) -> None:
    installed.add("aiocache-foreign", backends={"memory": "foreign_c:Store"}, modules={"foreign_c": backend()})
    (row,) = rows("aiocache-foreign")
    assert row.problem == "the name belongs to aiocache-core; the distribution must choose another one"


def test_two_distributions_with_one_name_are_both_told(installed: Installed) -> None:
    installed.add("one-store", backends={"store": "one_d:Store"}, modules={"one_d": backend()})
    installed.add("two-store", backends={"store": "two_d:Store"}, modules={"two_d": backend()})
    assert rows("one-store")[0].problem == "two-store offers the name too; write 'store@one-store'"
    assert rows("two-store")[0].problem == "one-store offers the name too; write 'store@two-store'"


@pytest.mark.parametrize("name", ["My.Store", "my/store", "Mine", "a@b"])
def test_a_name_that_cannot_be_written_is_told(installed: Installed, name: str) -> None:
    installed.add("aiocache-mine", backends={name: "mine_e:Store"}, modules={"mine_e": backend()})
    (row,) = rows("aiocache-mine")
    assert (
        row.problem
        == "a name is lower-case and has none of the characters . : / @; the distribution must choose another one"
    )


def test_a_distribution_that_does_not_say_its_version_is_listed(installed: Installed) -> None:
    installed.add("aiocache-mine", backends={"mine": "mine_f:Store"}, modules={"mine_f": backend()})
    (metadata,) = Path(installed.paths[0]).glob("*.dist-info/METADATA")
    metadata.write_text("Metadata-Version: 2.1\nName: aiocache-mine\n")
    (row,) = rows("aiocache-mine")
    assert row.version == "unknown"
    assert row.problem is None


def test_a_distribution_that_does_not_say_its_name_is_listed(installed: Installed) -> None:
    installed.add("aiocache-mine", backends={"mine": "mine_h:Store"}, modules={"mine_h": backend()})
    (metadata,) = Path(installed.paths[0]).glob("*.dist-info/METADATA")
    metadata.write_text("Metadata-Version: 2.1\n")
    assert Row("backends", "mine", "unknown", "unknown", 1, None) in registry.listing()


def test_the_table_is_aligned() -> None:
    lines = table(
        [
            Row("backends", "memory", "aiocache-core", "1.0.0", 1, None),
            Row("serializers", "bad", "aiocache-bad", "2.0", None, "broken\n  in two lines"),
        ]
    ).splitlines()
    assert lines == [
        "kind        name    distribution   version  contract  problem",
        "backend     memory  aiocache-core  1.0.0    1",
        "serializer  bad     aiocache-bad   2.0                broken in two lines",
    ]


def test_an_old_aiocache_is_told(installed: Installed, capsys: pytest.CaptureFixture[str]) -> None:
    main()
    assert "pip install -U aiocache" not in capsys.readouterr().out
    installed.add("aiocache", "0.12.3")
    main()
    told = capsys.readouterr().out
    assert "An aiocache 0.12.3 is installed beside aiocache-core" in told
    assert told.endswith("pip install -U aiocache\n")


def test_the_command_prints_what_is_installed(tmp_path: Path) -> None:
    distributions = FakeDistributions(tmp_path)
    distributions.add("aiocache-mine", "2.1", backends={"mine": "mine_g:Store"}, modules={"mine_g": backend()})
    distributions.add("aiocache-bad", "0.3", plugins={"bad": "bad_g:P"}, modules={"bad_g": "raise SystemExit(9)"})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*distributions.paths, SOURCE])}
    run = subprocess.run(
        [sys.executable, "-m", "aiocache_core"], env=environment, capture_output=True, text=True, check=True
    )
    cells = {tuple(line.split()[:5]) for line in run.stdout.splitlines()}
    assert ("backend", "mine", "aiocache-mine", "2.1", "1") in cells
    assert any(
        line[:3] == ("backend", "memory", "aiocache-core") and line[4] == "1" for line in cells if len(line) == 5
    )
    (bad,) = [line for line in run.stdout.splitlines() if "aiocache-bad" in line.split()]
    assert "SystemExit: 9" in bad
