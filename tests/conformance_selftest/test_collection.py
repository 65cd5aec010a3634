"""Hold that a store's author needs the few lines that the suite's documentation shows, and no more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TEST_FILE = """
import pytest
from tests.conformance import BackendConformance
from tests.conformance_selftest.reference import {backend}, Server


class TestStore(BackendConformance):
    backend_class = {backend}

    @pytest.fixture
    def server(self):
        return Server()

    @pytest.fixture
    def factory(self, server):
        return lambda: {backend}(server)

    @pytest.fixture
    def advance(self, server):
        return server.clock.advance
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
@pytest.mark.parametrize("backend", ["EightMethods", "Reference"])
def test_an_authors_test_file(tmp_path: Path, backend: str, mode: str) -> None:
    (tmp_path / "test_store.py").write_text(TEST_FILE.format(backend=backend))
    settings = ["[pytest]", f"asyncio_mode = {mode}", "filterwarnings = error", f"pythonpath = {ROOT}"]
    settings.append("asyncio_default_fixture_loop_scope = function")
    (tmp_path / "pytest.ini").write_text("\n".join(settings))
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--import-mode=importlib", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^=+ \d+ passed in", done.stdout, re.MULTILINE), "nothing may be skipped"
    assert ("::test_one_winner_among_many " in done.stdout) is (backend == "Reference")
    assert ("::test_without_leases " in done.stdout) is (backend == "EightMethods")
