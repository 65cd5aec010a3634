"""Fetch the source archive of the released aiocache 0.12.3, and run the servers that its programs expect."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import HOST, memcached_server, redis_server

RELEASE = "aiocache==0.12.3"
PORTS = {"redis-server": 6379, "memcached": 11211}


def fetch(folder: Path) -> Path:
    """Download the archive into a folder, unpack it there and return the folder of its sources."""
    environment = folder / "pip"
    venv.create(environment, with_pip=True)
    python: Path = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        "aiocache",
        "-d",
        folder,
        RELEASE,
    ]
    subprocess.run(command, check=True, cwd=folder)
    (archive,) = folder.glob("aiocache-*.tar.gz")
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@contextmanager
def servers() -> Iterator[None]:
    """Run redis and memcached on their own ports. Raises ``RuntimeError`` if others stand there: they are not used."""
    for name, port in PORTS.items():
        if _taken(port):
            message = (
                f"port {port} of {HOST} is taken; see who has it ('ss -ltnp sport = :{port}') and stop that {name}"
            )
            raise RuntimeError(message)
    with redis_server(port=PORTS["redis-server"]), memcached_server(port=PORTS["memcached"]):
        yield


def _taken(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
