"""Hold that each loop of each process has a client of its own, closed with its loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from aiocache_core import Clients


class Client:
    """Be a client that notes its end."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed_in: asyncio.AbstractEventLoop | None = None


class Made(Clients[Client]):
    """Keep all clients that were opened."""

    def __init__(self) -> None:
        self.opened: list[Client] = []
        super().__init__(self._open_one, self._close_one)

    def _open_one(self) -> Client:
        client = Client()
        self.opened.append(client)
        return client

    async def _close_one(self, client: Client) -> None:
        await asyncio.sleep(0)
        client.closed_in = asyncio.get_running_loop()


def test_a_loop_has_one_client_and_closes_it() -> None:
    clients = Made()

    async def use() -> bool:
        first = clients.current()
        await asyncio.sleep(0)
        return clients.current() is first

    assert [asyncio.run(use()) for _ in range(3)] == [True, True, True]
    assert len(clients.opened) == 3
    assert all(client.closed_in is client.loop for client in clients.opened)
    assert len(clients._open) == 1  # the last one: entries of closed loops go when the next client is made


def test_loops_of_several_threads_do_not_mix() -> None:
    clients = Made()
    together = threading.Barrier(4)
    wrong: list[object] = []

    async def use() -> None:
        together.wait()
        for _ in range(500):
            if clients.current().loop is not asyncio.get_running_loop():
                wrong.append(1)
            await asyncio.sleep(0)

    threads = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(clients.opened) == 4


async def test_close_and_use_again() -> None:
    clients = Made()
    first = clients.current()
    await clients.close()
    await clients.close()
    assert first.closed_in is first.loop
    assert clients.current() is not first
    await clients.close()


def test_without_a_loop_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Made().current()


def test_a_forked_process_uses_and_closes_its_own() -> None:
    code = """
import asyncio, os, sys
from aiocache_core import Clients
log = []
async def closer(client): log.append((os.getpid(), client))
clients = Clients(lambda: os.getpid(), closer)
parent = asyncio.new_event_loop()
async def use(): return clients.current()
assert parent.run_until_complete(use()) == os.getpid()
child = os.fork()
if child == 0:
    asyncio.set_event_loop(None)
    assert asyncio.run(use()) == os.getpid()
    assert log == [(os.getpid(), os.getpid())], log
    os._exit(0)
_, status = os.waitpid(child, 0)
assert parent.run_until_complete(use()) == os.getpid()
parent.run_until_complete(parent.shutdown_asyncgens())
parent.close()
assert log == [(os.getpid(), os.getpid())], log
print(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("0", "")
