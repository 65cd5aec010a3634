"""Hold that any key has a name that memcached takes, and that no two have the same one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiocache_core import Key
from aiocache_memcached import MemcachedBackend, names

HOLDABLE = re.compile(rb"[\x21-\x7e]{1,250}")
GENERATION = b"abcdefghijk"

texts = st.text(st.characters(), max_size=12) | st.text("@:%=ab 1\r\n\x7fé", max_size=12) | st.text("ab", min_size=200)
keys = texts | st.tuples(texts.filter(bool), texts)


def name_of(key: Key) -> bytes:
    return names.plain(key) if isinstance(key, str) else names.within(key[0], GENERATION)(key[1])


@given(keys, keys)
@example("a b", "a_b")
@example("a b", "a%20b")
@example("a b", "@:a%20b")
@example("", "@:")
@example(("a", "bc"), ("ab", "c"))
@example(("a", "k"), "@a:abcdefghijk:k")
@example(("a:abcdefghijk", "k"), ("a", "abcdefghijk:k"))
@example("x" * 250, "x" * 251)
@example("x" * 251, "x" * 252)
def test_no_two_keys_share_a_name(one: Key, other: Key) -> None:
    first, second = name_of(one), name_of(other)
    assert HOLDABLE.fullmatch(first)
    assert (first == second) is (one == other)


@given(texts.filter(bool), keys)
@example("a", ("a", ""))
@example("a", "@a:")
@example(" ", ("%20", ""))
def test_no_key_has_the_name_of_a_generation(namespace: str, key: Key) -> None:
    assert HOLDABLE.fullmatch(names.generation_of(namespace))
    assert names.generation_of(namespace) != name_of(key)


@given(texts.filter(bool), texts.filter(bool))
def test_namespaces_have_generations_of_their_own(one: str, other: str) -> None:
    assert (names.generation_of(one) == names.generation_of(other)) is (one == other)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("user:1", b"user:1"),
        ("@x", b"@@x"),
        ("a=b%20c#d", b"a=b%20c#d"),
        ("x" * 250, b"x" * 250),
        (("app", "user:1"), b"@app:abcdefghijk:user:1"),
        (("a:b", "k"), b"@a%3Ab:abcdefghijk:k"),
        ("", b"@:"),
        ("a b", b"@:a%20b"),
        ("é\n", b"@:%C3%A9%0A"),
        ("100% =", b"@:100%25%20%3D"),
        ("x" * 251, b"@:=7FNgp3oOMjR44uj9_qQgdm09BivK47TU8OQeQpVn1jY"),
    ],
)
def test_names_stay_as_they_were_released(key: Key, name: bytes) -> None:
    assert name_of(key) == name


def test_generations_are_random_and_fit() -> None:
    made = {names.new_generation() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(rb"[A-Za-z0-9_-]{11}", generation) for generation in made)


HOSTILE = [
    "a\r\nset b 0 0 1\r\nX",
    "a\nflush_all",
    " b",
    "a b",
    "b\x00c",
    "b 0 0 1",
    "noreply",
    "",
    "é" * 200,
    "\ud800",
    "\t",
    "x" * 1000,
]


@pytest.mark.parametrize("key", HOSTILE, ids=repr)
async def test_no_byte_of_a_key_or_value_reaches_the_server_as_a_command(backend: MemcachedBackend, key: str) -> None:
    await backend.set("b", b"bystander", None)
    finished: list[Key] = [key, ("space", key), (key or "-", "k")]
    for one in finished:
        value = b"v\r\nEND\r\nVALUE b 0 1\r\nX\r\nEND\r\n" + repr(one).encode()
        await backend.set(one, value, 60.0)
        assert await backend.get(one) == value
        assert (await backend.multi_get([one, "b"])) == [value, b"bystander"]
        assert await backend.exists(one)
        assert await backend.expires_in(one) == pytest.approx(60, abs=2)
        assert await backend.add(one, b"w", None) is False
        assert await backend.expire(one, None)
        assert await backend.delete(one)
        assert await backend.increment(one, -5, None) == -5
        assert await backend.multi_delete([one]) == 1
    assert await backend.get("b") == b"bystander"


async def test_other_programs_find_plain_keys(backend: MemcachedBackend) -> None:
    await backend.set("user:1", b"v", None)
    assert await backend.raw("get", b"user:1") == "v"
    await backend.raw("set", b"user:2", b"w")
    assert await backend.get("user:2") == b"w"
