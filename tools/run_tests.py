"""Run the tests against real servers, installed where that is allowed: ``run_tests.py [--install] [arguments of pytest]``.

The servers are installed by root and in CI, else only with ``--install``; without them the line to type is printed.
With ``--only-servers`` that is all.
Without further arguments the whole suite runs under coverage, and fails below the least coverage.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

LEAST_COVERAGE = 98
SERVERS = {"redis-server": "redis-server", "memcached": "memcached"}
"""Command -> package."""
QUIETLY = {
    "DEBIAN_FRONTEND": "noninteractive",
    "RUNLEVEL": "1",
}  # no question, and no service: the tests start their own
if sys.platform == "linux":
    SERVERS["valgrind"] = "valgrind"  # counts instructions where a time would be too uneven


def install_lines(packages: list[str], *, sudo: bool) -> list[list[str]] | None:
    """Return the commands that install packages here, or None where no known package manager is found."""
    prefix = ["sudo"] if sudo else []
    if shutil.which("apt-get"):
        options = ["-y", "--no-install-recommends"]
        return [[*prefix, "apt-get", "update"], [*prefix, "apt-get", "install", *options, *packages]]
    if shutil.which("dnf"):
        return [[*prefix, "dnf", "install", "-y", *("redis" if p == "redis-server" else p for p in packages)]]
    if shutil.which("brew"):
        return [["brew", "install", *("redis" if p == "redis-server" else p for p in packages)]]
    return None


def need_servers(*, allowed: bool) -> None:
    """Install the servers that are missing, or say how and exit."""
    missing = sorted({package for command, package in SERVERS.items() if shutil.which(command) is None})
    if not missing:
        return
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    lines = install_lines(missing, sudo=not root)
    if lines is None:
        sys.exit(f"the tests need {', '.join(missing)}: install them, and run this again")
    if not (allowed or root or os.environ.get("CI") == "true"):
        sys.exit(
            f"the tests need {', '.join(missing)}. Type this, or run the tests with --install:\n\n"
            f"    {' && '.join(' '.join(line) for line in lines)}\n"
        )
    for line in lines:
        print("+", *line, flush=True)
        subprocess.run(line, check=True, env={**os.environ, **QUIETLY})


def main(arguments: list[str]) -> int:
    """Run the tests and return the exit code."""
    need_servers(allowed="--install" in arguments)
    if "--only-servers" in arguments:
        return 0
    arguments = [argument for argument in arguments if argument != "--install"]
    if arguments:
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "erase"], check=True)
    code = subprocess.run([*coverage, "run", "-m", "pytest"], check=False).returncode
    subprocess.run([*coverage, "combine", "--quiet"], check=True)
    report = [*coverage, "report", f"--fail-under={LEAST_COVERAGE}"]
    return code or subprocess.run(report, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
