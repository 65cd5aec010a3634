"""Hold what plugins are told of a cache's commands, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pluggy import PluginValidationError

from aiocache_core import (
    MISS,
    BasePlugin,
    Cache,
    Command,
    CommandTimeout,
    HitMissRatioPlugin,
    TimingPlugin,
    cached,
    hookimpl,
)
from tests.core.stores import held_cache


class Recorder:
    """Note every hook."""

    def __init__(self, name: str = "", log: list[Any] | None = None) -> None:
        self.name = name
        self.log: list[Any] = [] if log is None else log

    @hookimpl
    async def pre_command(self, command: Command) -> None:
        self.log.append((f"{self.name}pre", command.name))
        command.slots[self] = "span"

    @hookimpl
    async def post_command(self, command: Command) -> None:
        assert command.slots[self] == "span"
        assert command.took >= 0
        self.log.append((f"{self.name}post", command.name, command.keys, command.hits, command.result))

    @hookimpl
    async def command_error(self, command: Command) -> None:
        self.log.append((f"{self.name}error", command.name, type(command.error)))


async def test_commands_keys_hits_and_results() -> None:
    recorder = Recorder()
    cache = Cache(plugins=[recorder], namespace="main", ttl=9)
    await cache.get("k", "default")
    await cache.set("k", 1)
    await cache.get("k", "default")
    await cache.multi_get(["k", "x"], default=0)
    await cache.multi_set([("a", 1), ("b", 2)])
    await cache.exists("k")
    await cache.expire("k", 5)
    await cache.expires_in("x")
    await cache.increment("n")
    await cache.multi_delete(["a", "x"])
    await cache.delete("k")
    await cache.clear()
    assert [entry[1:] for entry in recorder.log if entry[0] == "post"] == [
        ("get", ["k"], 0, "default"),
        ("set", ["k"], None, True),
        ("get", ["k"], 1, 1),
        ("multi_get", ["k", "x"], 1, [1, 0]),
        ("multi_set", ["a", "b"], None, True),
        ("exists", ["k"], 1, True),
        ("expire", ["k"], 1, True),
        ("expires_in", ["x"], 0, MISS),
        ("increment", ["n"], None, 1),
        ("multi_delete", ["a", "x"], 1, 1),
        ("delete", ["k"], 1, 1),
        ("clear", [], None, True),
    ]


async def test_the_record_tells_value_ttl_and_namespace() -> None:
    seen: list[Any] = []

    class Reader:
        @hookimpl
        async def post_command(self, command: Command) -> None:
            seen.append((command.cache, command.key, command.value, command.ttl, command.namespace))

    cache = Cache(plugins=[Reader()], namespace="main", ttl=9)
    await cache.set("k", 1)
    await cache.set("k", 2, 5, namespace="other")
    await cache.clear()
    assert seen == [(cache, "k", 1, 9, "main"), (cache, "k", 2, 5, "other"), (cache, None, None, 9, "main")]


async def test_plugins_are_awaited_in_their_order() -> None:
    log: list[Any] = []
    cache = Cache(plugins=[Recorder("1 ", log), Recorder("2 ", log)])
    await cache.get("k")
    assert [entry[0] for entry in log] == ["1 pre", "2 pre", "1 post", "2 post"]


async def test_a_pre_that_raises_stops_the_command_and_tells_those_before_it() -> None:
    log: list[Any] = []

    class Refusing(Recorder):
        @hookimpl
        async def pre_command(self, command: Command) -> None:
            raise PermissionError

    cache = Cache(plugins=[Recorder("1 ", log), Refusing("2 ", log), Recorder("3 ", log)])
    with pytest.raises(PermissionError):
        await cache.set("k", 1)
    assert log == [("1 pre", "set"), ("1 error", "set", PermissionError)]
    cache.plugins = []
    assert await cache.get("k") is None


async def test_errors_timeouts_and_cancellation_are_told() -> None:
    cache, store = held_cache(timeout=0.01)
    recorder = Recorder()
    cache.plugins = [recorder]
    store.hold("get")
    with pytest.raises(CommandTimeout):
        await cache.get("k")
    pending = asyncio.create_task(cache.get("k", timeout=None))
    await asyncio.sleep(0)
    pending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pending
    with pytest.raises(TypeError):
        await cache.get(None)
    assert [entry[2] for entry in recorder.log if entry[0] == "error"] == [
        CommandTimeout,
        asyncio.CancelledError,
        TypeError,
    ]


async def test_an_error_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy:
        @hookimpl
        async def command_error(self, command: Command) -> None:
            raise RuntimeError

    cache = Cache(plugins=[Clumsy()])
    with pytest.raises(TypeError, match="a key must be"):
        await cache.get(None)
    assert "command_error hook failed" in caplog.text


async def test_a_post_that_raises_reaches_the_caller_but_no_decorated_call(caplog: pytest.LogCaptureFixture) -> None:
    class Clumsy:
        @hookimpl
        async def post_command(self, command: Command) -> None:
            message = "clumsy"
            raise RuntimeError(message)

    cache = Cache(plugins=[Clumsy()])
    with pytest.raises(RuntimeError, match="clumsy"):
        await cache.get("k")

    @cached(cache=cache)
    async def double(number: int) -> int:
        return 2 * number

    assert [await double(4), await double(4)] == [8, 8]
    assert caplog.text.count("clumsy") == 2  # once for reading, once for storing


async def test_decorated_calls_are_told_as_get_and_set() -> None:
    recorder = Recorder()

    @cached(plugins=[recorder])
    async def double(number: int) -> int:
        return 2 * number

    await double(4)
    await double(4)
    assert [entry[1] for entry in recorder.log if entry[0] == "post"] == ["get", "set", "get"]
    assert [entry[3] for entry in recorder.log if entry[0] == "post"] == [0, None, 1]


def test_implementations_are_checked_when_they_are_registered() -> None:
    class Plain:
        @hookimpl
        def pre_command(self, command: Command) -> None: ...

    class Wrong:
        @hookimpl
        async def pre_command(self, commands: Command) -> None: ...

    class Unknown:
        @hookimpl
        async def pre_get(self, command: Command) -> None: ...

    class Wrapper:
        @hookimpl(wrapper=True)
        async def pre_command(self, command: Command) -> Any:
            yield

    with pytest.raises(TypeError, match=r"Plain.pre_command must be a coroutine function.*async def"):
        Cache(plugins=[Plain()])
    for plugin in (Wrong(), Unknown(), Wrapper()):
        with pytest.raises((PluginValidationError, TypeError)):
            Cache(plugins=[plugin])
    with pytest.raises(TypeError, match=r"have you forgotten the \(\)"):
        Cache(plugins=[TimingPlugin])


async def test_an_implementation_may_take_no_argument() -> None:
    calls: list[str] = []

    class Short:
        @hookimpl
        async def pre_command(self) -> None:
            calls.append("pre")

    await Cache(plugins=[Short()]).get("k")
    assert calls == ["pre"]


async def test_the_list_of_plugins_is_noticed_when_it_changes() -> None:
    cache = Cache()
    assert cache.plugins == []
    first, second, third = Recorder(), Recorder(), Recorder()
    cache.plugins.append(first)
    cache.plugins += [second]
    cache.plugins.insert(0, third)
    await cache.get("k")
    assert [len(plugin.log) for plugin in (first, second, third)] == [2, 2, 2]
    cache.plugins.remove(first)
    del cache.plugins[0]
    cache.plugins[0] = first
    assert list(cache.plugins) == [first]
    assert cache.plugins[0:] == [first]
    assert repr(cache.plugins) == repr([first])
    cache.plugins = None
    assert cache.get.__func__ is Cache.get  # type: ignore[attr-defined]


async def test_hooks_cost_nothing_where_there_are_none() -> None:
    cache = Cache(plugins=[Recorder()])
    assert "get" in vars(cache)
    cache.plugins = []
    assert "get" not in vars(cache)


class OldStyle(BasePlugin):
    """Be a plugin written for aiocache 0.12."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    async def pre_set(self, client: Any, key: str, value: Any, **kwargs: Any) -> None:
        self.log.append(("pre_set", client, key, value, kwargs))

    async def post_get(self, client: Any, key: str, took: float = 0, ret: Any = None, **kwargs: Any) -> None:
        self.log.append(("post_get", key, took > 0, ret, kwargs))
        await super().post_get(client, key, took=took, ret=ret, **kwargs)


async def test_old_style_plugins() -> None:
    plugin = OldStyle()
    cache = Cache(plugins=[plugin])
    await cache.set("k", 1, ttl=5)
    await cache.get("k", namespace="")
    await cache.get("x")
    assert plugin.log == [
        ("pre_set", cache, "k", 1, {"ttl": 5}),
        ("post_get", "k", True, 1, {"namespace": ""}),
        ("post_get", "x", True, None, {}),
    ]


async def test_an_old_style_plugin_sees_a_decorated_miss_as_none() -> None:
    plugin = OldStyle()

    @cached(plugins=[plugin], key="k")
    async def one() -> int:
        return 1

    await one()
    assert [entry[3] for entry in plugin.log if entry[0] == "post_get"] == [None]


async def test_timing() -> None:
    cache = Cache(plugins=["timing"])
    for _ in range(3):
        await cache.get("k")
    profiling = cache.profiling
    assert profiling["get_total"] == 3
    assert 0 < profiling["get_min"] <= profiling["get_avg"] <= profiling["get_max"]


async def test_hit_miss_ratio() -> None:
    cache = Cache(plugins=[HitMissRatioPlugin()])
    await cache.multi_get([])
    assert cache.hit_miss_ratio == {"total": 0, "hits": 0, "hit_ratio": 0.0}
    await cache.set("k", None)
    await cache.get("k")
    await cache.get("x", default=1)
    await cache.multi_get(["k", "x"], default=1)
    assert cache.hit_miss_ratio == {"total": 4, "hits": 2, "hit_ratio": 0.5}


async def test_one_plugin_may_serve_several_caches() -> None:
    plugin = TimingPlugin()
    one, two = Cache(plugins=[plugin]), Cache(plugins=[plugin])
    await one.get("k")
    assert one.profiling["get_total"] == 1
    assert not hasattr(two, "profiling")
