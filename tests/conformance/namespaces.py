"""Part namespaces: no two keys meet, and a clear removes one namespace exactly."""

from __future__ import annotations

import asyncio

from aiocache_core import MISS, Key
from tests.conformance.harness import Store, part, read, read_many

AWKWARD = (
    *(" ", "  ", "a", "A", "ab", "a b", "a_b", "a%20b", "-", "None", "1", "01"),
    *("*", "**", "?", "a*", "a?", "[a]", "[^a]", "[a-z]", "{a,b}", "\\", "\\*", "\\\\", "^", "$", "."),
    *(":", "::", "a:", ":a", "a:b", "a:b:c", "@", "@@", "@a", "@a:", "@a:b", "@@a:b", "@%40a:b", "a@b"),
    *("%", "%%", "%3A", "%3a", "%253A", "%25", "%40", "a%3Ab", "/", "a/b", "..", "'", '"', "#", ";", "{}"),
    *("\x00", "a\x00b", "\n", "\r", "\r\n", "get a\r\n", "\t", "\x1b", "\x7f", "\x80", "\x85", "\xa0", "\u2028"),
    *("\xe9", "e\u0301", "E\u0301", "\xdf", "ss", "\u043a\u043b\u044e\u0447", "\u65e5\u672c", "\U0001f642", "\ufeff"),
    *("\ud800", "a\udfff", "\udcff", "\uffff", "\U0010ffff"),
)
"""Names that have been confused somewhere: patterns, separators, escapes, protocol ends, look-alikes, lone surrogates."""

LONG = ("x" * 249, "x" * 250, "x" * 251, "x" * 1_000, "x" * 999 + "y", "\xe9" * 125, "\xe9" * 126, "\xe9" * 1_000)
"""Names around the limits of stores, which differ in their last characters only."""

KEYS = ("", *AWKWARD, *LONG)


def _value(key: Key) -> bytes:
    return ascii(key).encode()


@part("namespaces")
class Namespaces:
    """Isolation, whatever characters names hold."""

    async def test_awkward_keys_are_distinct_keys(self, store: Store) -> None:
        keys: list[Key] = [*KEYS]
        for key in keys:
            assert await store.backend.add(key, _value(key), None) is True, ascii(key)
        for key in keys:
            assert await read(store.backend, key) == _value(key), ascii(key)
        assert await read_many(store.backend, keys) == [_value(key) for key in keys]
        for key in keys[::2]:
            assert await store.backend.delete(key) is True, ascii(key)
        assert await read_many(store.backend, keys[::2]) == [MISS] * len(keys[::2])
        assert await read_many(store.backend, keys[1::2]) == [_value(key) for key in keys[1::2]]

    async def test_no_two_namespaces_share_a_key(self, store: Store) -> None:
        names = [*AWKWARD, *LONG]
        keys: list[Key] = [*KEYS, *((name, key) for name in names for key in ("", "a", "b", ":", "@a:b", "bc", "c"))]
        keys += [("a", key) for key in names if key not in {"a", ":", "@a:b"}]
        keys += [("a:b", "c"), ("a", "b:c"), ("a%3Ab", "c"), ("@a", "b:c")]
        keys = list(dict.fromkeys(keys))
        await store.backend.multi_set([(key, _value(key)) for key in keys], None)
        found = await read_many(store.backend, keys)
        assert [key for key, value in zip(keys, found, strict=True) if value != _value(key)] == []

    async def test_a_bc_is_not_ab_c(self, store: Store) -> None:
        await store.backend.set(("a", "bc"), b"1", None)
        keys: list[Key] = [("ab", "c"), ("abc", ""), "abc", "a:bc", "@a:bc", "@abc", ("@a", "bc"), ("a:", "bc")]
        assert await read_many(store.backend, keys) == [MISS] * len(keys)
        await store.backend.multi_set([(key, b"2") for key in keys], None)
        assert await read(store.backend, ("a", "bc")) == b"1"

    async def test_clear_removes_one_namespace_and_no_other(self, store: Store) -> None:
        names = ["a", "ab", "a:", "a:b", "A", "*", "a*", "?", "[a]", "\\*", "@", "@a", "%", "%3A", "\xe9", "e\u0301"]
        names += ["\ud800", "\x00", " ", "\n", "x" * 250, "x" * 251]
        keys: list[Key] = [(name, key) for name in names for key in ("", "k", "a", "*", ":", "a:k")]
        keys += ["", "a", "a:k", "@a:k", "@", "*", ":k", "k"]
        left = {key: _value(key) for key in keys}
        await store.backend.multi_set(left.items(), None)
        for name in names:
            await store.backend.clear(name)
            left = {key: value for key, value in left.items() if not (isinstance(key, tuple) and key[0] == name)}
            found = await read_many(store.backend, keys)
            assert found == [left.get(key, MISS) for key in keys], ascii(name)

    async def test_clear_forgets_no_key_among_thousands(self, store: Store) -> None:
        backend = store.backend
        ours: list[Key] = [("big", f"k{n}") for n in range(3_000)]
        others: list[Key] = [*(("big2", f"k{n}") for n in range(500)), *(f"big:k{n}" for n in range(500))]
        await backend.multi_set([(key, b"v") for key in ours[:2_000]], None)
        await backend.multi_set([(key, b"v") for key in ours[2_000:]], 1_000.0)
        await backend.multi_set([(key, b"v") for key in others], None)
        await backend.clear("big")
        found = await backend.multi_get(ours)
        assert [key for key, stored in zip(ours, found, strict=True) if stored is not MISS] == []
        found = await backend.multi_get(others)
        assert [key for key, stored in zip(others, found, strict=True) if stored is MISS] == []

    async def test_clear_of_the_whole_store(self, store: Store) -> None:
        keys: list[Key] = ["", "k", "@k", *((name, "k") for name in AWKWARD), *(("many", str(n)) for n in range(2_000))]
        await store.backend.multi_set([(key, b"v") for key in keys], None)
        await store.another().clear(None)
        assert await store.backend.multi_get(keys) == [MISS] * len(keys)

    async def test_clear_of_nothing(self, store: Store) -> None:
        await store.backend.set("k", b"v", None)
        await store.backend.clear("never used")
        await store.backend.clear("never used")
        assert await read(store.backend, "k") == b"v"
        await store.backend.clear(None)
        await store.backend.clear(None)
        assert await store.backend.get("k") is MISS

    async def test_a_cleared_namespace_is_used_again(self, store: Store) -> None:
        for turn in range(3):
            assert await store.backend.add(("space", "k"), b"%d" % turn, None) is True
            assert await read(store.backend, ("space", "k")) == b"%d" % turn
            await store.backend.clear("space" if turn else None)
            assert await store.backend.get(("space", "k")) is MISS

    async def test_a_clear_is_seen_by_clients_that_have_used_the_namespace(self, store: Store) -> None:
        one, other, third = store.clients(3)
        for client in (one, other, third):
            await client.set(("space", "k"), b"v", None)
            assert await read(client, ("space", "k")) == b"v"
        await one.clear("space")
        assert await other.get(("space", "k")) is MISS
        assert await third.multi_get([("space", "k")]) == [MISS]
        assert await third.add(("space", "k"), b"new", None) is True
        assert await read(one, ("space", "k")) == b"new"
        assert await other.delete(("space", "k")) is True

    async def test_a_clear_does_not_hold_up_other_clients(self, store: Store) -> None:
        one, other = store.clients(2)
        await one.multi_set([(("big", str(n)), b"v") for n in range(2_000)], None)
        clearing = asyncio.create_task(one.clear("big"))
        for turn in range(20):
            await other.set(("other", "k"), b"%d" % turn, None)
            assert await read(other, ("other", "k")) == b"%d" % turn
        await clearing
        assert await read(one, ("other", "k")) == b"19"
        assert await one.exists(("big", "7")) is False
