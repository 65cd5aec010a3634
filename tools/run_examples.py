"""Run each program in ``examples/`` and each Python block of the READMEs: ``run_examples.py [part of a name ...]``.

They name the servers' own ports, 6379 and 11211; a server is started there for them unless one answers already.
The first program that fails ends the run.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md")), *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LIMIT = 60
"""The seconds that one program may take."""
SERVERS = {
    6379: ["redis-server", "--bind", "127.0.0.1", "--port", "6379", "--save", "", "--appendonly", "no"],
    11211: ["memcached", "-l", "127.0.0.1", "-p", "11211", "-U", "0", "-u", "nobody"],
}


def answers(port: int) -> bool:
    """Tell whether a server accepts connections on this port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def server(port: int, command: list[str], folder: str) -> Iterator[None]:
    """Have a server on this port for the time of the block."""
    if answers(port):
        yield
        return
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 10
            while not answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{command[0]} does not answer on 127.0.0.1:{port}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def programs(parts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the code of each program whose name holds one of ``parts``, or of all."""
    found = [
        *((str(path.relative_to(ROOT)), path.read_text("utf-8")) for path in sorted(ROOT.glob("examples/*.py"))),
        *(
            (f"{path.relative_to(ROOT)}, block {number}", code)
            for path in READMES
            for number, code in enumerate(BLOCK.findall(path.read_text("utf-8")), 1)
        ),
    ]
    for name, code in found:
        if not parts or any(part in name for part in parts):
            yield name, code


def main(parts: list[str]) -> int:
    """Run the programs, one after another, and return the exit code."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for port, command in SERVERS.items():
            stack.enter_context(server(port, command, folder))
        for name, code in programs(parts):
            path = Path(folder, "program.py")
            path.write_text(code, "utf-8")
            started = time.perf_counter()
            command = [sys.executable, "-W", "error", str(path)]
            told = subprocess.run(command, cwd=folder, timeout=LIMIT, capture_output=True, text=True, check=False)
            print(
                f"{'failed' if told.returncode else 'ok':<7}{time.perf_counter() - started:6.2f} s  {name}", flush=True
            )
            if told.returncode:
                print(told.stdout, told.stderr, sep="\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
