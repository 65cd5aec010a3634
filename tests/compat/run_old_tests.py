"""Run the own tests of aiocache 0.12.3 against this aiocache, and compare what fails with ``differences.toml``.

``python -m tests.compat.run_old_tests [arguments of pytest]``, from the root of the checkout. Prints how many pass. Ends with 1
if a test fails that is not listed, or if a listed one passes now. Its performance tests are left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.compat.archive import fetch, servers

LISTED = Path(__file__).with_name("differences.toml")
SETTINGS = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings =
    error
    ignore:the items of .* are cached by:UserWarning
    ignore:two functions named:RuntimeWarning
timeout = 60
markers =
    memcached: needs memcached
    redis: needs redis
"""
STAND_INS = Path(__file__).with_name("stand_ins.py")
COLLECTED = {
    "Cache.MEMORY.NAME": "Cache.MEMORY",
    "Cache.MEMCACHED.NAME": "Cache.MEMCACHED",
    "Cache.REDIS.NAME": "Cache.REDIS",
}
"""What stands outside a test, would stop the collection of all tests of a file, and is replaced there."""


def run(folder: Path, arguments: list[str]) -> tuple[dict[str, str], int]:
    """Run the tests; return what failed, test -> the error's last line, and the number of those that passed."""
    source = fetch(folder)
    place = folder / "run"
    place.mkdir()
    (source / "tests").rename(place / "tests")  # without 0.12.3's own package beside them
    (place / "pytest.ini").write_text(SETTINGS, "utf-8")
    shutil.copy(STAND_INS, place)
    for path in place.rglob("test_*.py"):
        text = path.read_text("utf-8")
        for old, new in COLLECTED.items():
            text = text.replace(old, new)
        path.write_text(text, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "stand_ins", "-p", "no:cacheprovider"]
    command += ["--continue-on-collection-errors", "--junit-xml=report.xml", "tests/ut", "tests/acceptance", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    with servers(), (place / "output").open("w") as output:
        subprocess.run(command, cwd=place, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False)
    report = place / "report.xml"
    if not report.exists():
        sys.exit((place / "output").read_text())
    if "-v" in arguments:
        print((place / "output").read_text())
    return read(report)


def read(report: Path) -> tuple[dict[str, str], int]:
    """Return what failed, test -> the error's last line, and the number of those that passed."""
    failed: dict[str, str] = {}
    total = 0
    for case in ET.parse(report).getroot().iter("testcase"):
        total += 1
        name = "::".join(filter(None, (case.get("classname", ""), case.get("name", ""))))
        name = re.sub(r"0x[0-9a-f]+", "0x", name)
        for problem in (*case.findall("failure"), *case.findall("error")):
            failed[name] = (problem.get("message") or "").strip().replace("\n", " ")[:300]
    return failed, total - len(failed)


def reasons() -> dict[str, str]:
    """Return the listed tests and why each differs."""
    listed: dict[str, str] = {}
    for reason, tests in tomllib.loads(LISTED.read_text("utf-8")).items():
        listed.update(dict.fromkeys(tests["tests"], f"{reason}: {tests['reason']}"))
    return listed


def main(arguments: list[str]) -> int:
    """Run the tests, print what came of them, and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        failed, passed = run(Path(folder), arguments)
    listed = reasons() if LISTED.exists() else {}
    unlisted = {test: error for test, error in failed.items() if test not in listed}
    mended = [] if arguments else sorted(set(listed) - set(failed))
    for test, error in unlisted.items():
        print(f"fails, and is not listed: {test}\n    {error}")
    for test in mended:
        print(f"is listed, and does not fail: {test}\n    {listed[test]}")
    print(f"{passed} of {passed + len(failed)} tests of 0.12.3 pass; {len(failed) - len(unlisted)} differ as listed")
    return 1 if unlisted or mended else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
