"""Hold that each distribution's public names are completely typed, as its users' type checkers see them."""

from __future__ import annotations

import subprocess
import sys

PACKAGES = ["aiocache_core", "aiocache_redis", "aiocache_memcached", "aiocache_msgpack", "aiocache"]


def main() -> int:
    """Ask pyright about each package, and return the number of those that it finds incomplete."""
    failed = 0
    for package in PACKAGES:
        command = [sys.executable, "-m", "pyright", "--verifytypes", package, "--ignoreexternal"]
        told = subprocess.run(command, check=False, capture_output=True, text=True)
        score = next((line for line in told.stdout.splitlines() if "completeness score" in line), "no score")
        print(f"{package}: {score.strip()}", flush=True)
        if told.returncode:
            failed += 1
            print(told.stdout, told.stderr, sep="\n", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
