"""What the repository says of its distributions, and how a test builds and installs them."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SIBLINGS = ["aiocache-memcached", "aiocache-msgpack", "aiocache-redis"]
NAMES = ["aiocache", "aiocache-core", *SIBLINGS]


@dataclass(frozen=True)
class Distribution:
    """One folder of ``packages/``."""

    name: str

    @property
    def folder(self) -> Path:
        return ROOT / "packages" / self.name

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        return self.folder / "src" / self.package

    @cached_property
    def version(self) -> str:
        version: str = runpy.run_path(str(self.source / "__about__.py"))["__version__"]
        return version

    @property
    def stem(self) -> str:
        """How the names of what is built begin."""
        return f"{self.package}-{self.version}"

    @cached_property
    def project(self) -> dict[str, Any]:
        settings = tomllib.loads((self.folder / "pyproject.toml").read_text("utf-8"))
        project: dict[str, Any] = settings["project"]
        return project


DISTRIBUTIONS = [Distribution(name) for name in NAMES]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end and return what it printed; fail with all of that if it failed."""
    __tracebackhide__ = True  # the environment is nobody's to read in a report
    told = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    if told.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{told.stdout}\n{told.stderr}", pytrace=False)
    return told.stdout


def environment() -> dict[str, str]:
    """Return this process's environment less what would make coverage or an outer Python show up in a child."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE_", "COV_", "PYTHON", "VIRTUAL_ENV"))
    }


def build(distribution: Distribution, target: Path) -> None:
    """Build sdist and wheel into ``target`` with the build backend itself, so that no package index is needed."""
    run(sys.executable, "-m", "hatchling", "build", "-d", target, cwd=distribution.folder)
