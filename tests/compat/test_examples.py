"""The example programs of aiocache 0.12.3 run here as they are, but for what docs/migration.md tells to change."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.archive import fetch, servers

pytestmark = pytest.mark.index  # the archive comes from the package index

EXAMPLES = [
    "alt_key_builder",
    "cached_alias_config",
    "cached_decorator",
    "marshmallow_serializer_class",
    "multicached_decorator",
    "optimistic_lock",
    "plugins",
    "python_object",
    "redlock",
    "serializer_class",
    "serializer_function",
    "simple_redis",
    "testing",
]
STORED = {'"main:': '"@main:'}  # namespace and key in the store
CHANGES: dict[str, dict[str, str]] = {
    "alt_key_builder": {"assert isinstance(custom_key, bytes)": "assert isinstance(custom_key, str)"},  # keys are text
    "serializer_class": STORED,
    "serializer_function": {**STORED, "fields.Number": "fields.Float"},  # Number is abstract in marshmallow 4
    "simple_redis": STORED,
}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = fetch(tmp_path_factory.mktemp("release")) / "examples"
    with servers():
        yield folder


def test_no_example_is_left_out(examples: Path) -> None:
    assert sorted(path.stem for path in examples.glob("*.py")) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(examples: Path, tmp_path: Path, name: str) -> None:
    text = (examples / f"{name}.py").read_text("utf-8")
    for old, new in CHANGES.get(name, {}).items():
        assert old in text
        text = text.replace(old, new)
    program = tmp_path / f"{name}.py"
    program.write_text(text, "utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    told = subprocess.run(command, cwd=tmp_path, timeout=60, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
