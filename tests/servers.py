"""Start real servers on free ports of 127.0.0.1, and stop them by their process."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE = 10.0
"""The seconds within which a server must answer."""


class Server:
    """Be a server process that can be killed, stopped, continued and started again on its port."""

    def __init__(self, port: int, command: Sequence[str], folder: Path) -> None:
        self.port = port
        self.folder = folder
        self._command = list(command)
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start the process and wait until it answers. Raises ``RuntimeError`` if it ends instead."""
        output = (self.folder / "output").open("ab")
        with output:
            self.process = subprocess.Popen(self._command, cwd=self.folder, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                message = f"{self._command[0]} does not answer: {(self.folder / 'output').read_text(errors='replace')}"
                raise RuntimeError(message)
            time.sleep(0.01)

    def answers(self) -> bool:
        """Return True if the port accepts connections."""
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End the process, gently at first."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """Stop the process as it is; connections stand, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # returns when every thread of it has stopped

    def resume(self) -> None:
        """Let a paused process go on."""
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start a new process on the same port, empty."""
        self.stop()
        self.start()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed; ./hatchw run test --install installs it"
        raise RuntimeError(message)
    return found


@contextlib.contextmanager
def _running(name: str, arguments: list[str], port: int | None) -> Iterator[Server]:
    program = _program(name)
    with tempfile.TemporaryDirectory() as folder:
        server = _started(program, arguments, Path(folder), port)
        try:
            yield server
        finally:
            server.stop()


def _started(program: str, arguments: list[str], folder: Path, port: int | None) -> Server:
    """Start a server, again if another process takes the free port before it does."""
    tries = 1 if port is not None else 5
    while True:
        number = free_port() if port is None else port
        server = Server(number, [program, *(argument.format(port=number) for argument in arguments)], folder)
        tries -= 1
        try:
            server.start()
        except RuntimeError:
            if not tries:
                raise
        else:
            return server


@contextlib.contextmanager
def redis_server(*options: str, port: int | None = None) -> Iterator[Server]:
    """Run a redis-server without persistence; ``options`` are further arguments (``"--maxmemory", "3mb"``)."""
    arguments = ["--port", "{port}", "--bind", HOST, "--save", "", "--appendonly", "no", "--dir", ".", *options]
    with _running("redis-server", arguments, port) as server:
        yield server


@contextlib.contextmanager
def memcached_server(*options: str, port: int | None = None) -> Iterator[Server]:
    """Run a memcached; ``options`` are further arguments (``"-I", "1k"``)."""
    with _running("memcached", ["-l", HOST, "-p", "{port}", "-U", "0", "-u", "nobody", *options], port) as server:
        yield server
