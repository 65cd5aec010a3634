"""The Python blocks of the README and of the pages for users run as they stand, but for the servers' ports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Server

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "packages/aiocache/README.md"]
BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, code in enumerate(BLOCK.findall(page.read_text("utf-8")), 1)
]


def test_the_readme_has_blocks() -> None:
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("code", BLOCKS)
def test_block(code: str, redis_server: Server, memcached_server: Server, tmp_path: Path) -> None:
    """What relies on a default port is told the test server's."""
    code = code.replace("6379", str(redis_server.port)).replace("11211", str(memcached_server.port))
    program = tmp_path / "program.py"
    program.write_text(code, "utf-8")
    command = [sys.executable, "-W", "error", str(program)]
    told = subprocess.run(command, cwd=tmp_path, timeout=60, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
