"""Hold how keys are read and stored. The stored forms of every release stay in this file."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aiocache_core import keys
from aiocache_core._types import Key

# Few characters, so that keys that could meet are tried often; lone surrogates too.
TEXTS = st.text(alphabet="@:%2345A\ud800é", max_size=8) | st.text(max_size=8)
KEYS: st.SearchStrategy[Key] = TEXTS | st.tuples(TEXTS.filter(bool), TEXTS)

STORED_1_0: list[tuple[Key, bytes]] = [
    ("", b""),
    ("user:1", b"user:1"),
    ("a b\n", b"a b\n"),
    ("%3A", b"%3A"),
    (":", b":"),
    ("@", b"@@"),
    ("@x", b"@@x"),
    ("@@x", b"@@@x"),
    ("@app:user:1", b"@@app:user:1"),
    ("x@y", b"x@y"),
    ("é", b"\xc3\xa9"),
    ("\ud800", b"\xed\xa0\x80"),
    (("app", "user:1"), b"@app:user:1"),
    (("app", ""), b"@app:"),
    (("app", "@x"), b"@app:@x"),
    (("app", ":"), b"@app::"),
    (("app", "%"), b"@app:%"),
    (("a:b", "k"), b"@a%3Ab:k"),
    (("a%", "k"), b"@a%25:k"),
    (("a:b%", "k"), b"@a%3Ab%25:k"),
    (("%3A", "k"), b"@%253A:k"),
    (("@a", "k"), b"@%40a:k"),
    (("@@a", "k"), b"@%40@a:k"),
    (("a@", "k"), b"@a@:k"),
    (("%40a", "k"), b"@%2540a:k"),
    (("é", "k"), b"@\xc3\xa9:k"),
    (("a b", "k"), b"@a b:k"),
]
"""Finished keys, and what the stores of release 1.0 hold for them."""


@pytest.mark.parametrize(("key", "stored"), STORED_1_0)
def test_the_stored_form_of_release_1_0(key: Key, stored: bytes) -> None:
    assert keys.encode(key) == stored
    assert keys.decode(stored) == key


@given(KEYS)
def test_splitting_is_the_inverse_of_joining(key: Key) -> None:
    assert keys.split(keys.join(key)) == key
    assert keys.decode(keys.encode(key)) == key


@given(KEYS, KEYS)
@example(("a", "bc"), ("ab", "c"))
@example(("a", "b:c"), ("a:b", "c"))
@example("@a:b", ("a", "b"))
@example("@@a:b", ("@a", "b"))
@example("@%40a:b", ("@a", "b"))
def test_no_two_keys_meet(one: Key, other: Key) -> None:
    assume(one != other)
    assert keys.join(one) != keys.join(other)


@given(TEXTS)
def test_a_name_is_a_key_of_one_form_or_of_none(name: str) -> None:
    try:
        key = keys.split(name)
    except ValueError:
        return
    assert keys.join(key) == name


@given(TEXTS)
def test_a_key_without_a_namespace_is_found_by_other_programs(key: str) -> None:
    assume(not key.startswith("@"))
    assert keys.join(key) == key


@given(TEXTS.filter(bool), KEYS)
def test_a_namespaces_keys_and_no_others_begin_with_its_prefix(namespace: str, key: Key) -> None:
    assert keys.join((namespace, "k")).startswith(keys.prefix(namespace))
    assert keys.join(key).startswith(keys.prefix(namespace)) == (isinstance(key, tuple) and key[0] == namespace)


@pytest.mark.parametrize("name", ["@", "@x", "@:k", "@%40", "@a%:k", "@a%3a:k", "@%40%3:k", "@a%20:k"])
def test_a_name_that_no_key_has_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the stored form of a key"):
        keys.split(name)


class Color(enum.Enum):
    RED = "red"
    ONE = 1
    RAW = b"raw"
    NONE = None


class Name(enum.StrEnum):
    ADA = "ada"


class Size(enum.IntEnum):
    SMALL = 1


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Number(int):
    def __repr__(self) -> str:
        return "something else"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a", "a"),
        ("", ""),
        ("é", "é"),
        (b"a", "a"),
        (b"", ""),
        ("é".encode(), "é"),
        (b"\xed\xa0\x80", "\ud800"),
        (1, "1"),
        (0, "0"),
        (-5, "-5"),
        (10**20, "100000000000000000000"),
        (Color.RED, "red"),
        (Color.ONE, "1"),
        (Color.RAW, "raw"),
        (Name.ADA, "ada"),
        (Size.SMALL, "1"),
        (Text("a"), "a"),
        (Number(3), "3"),
    ],
)
def test_a_key_is_text(key: object, expected: str) -> None:
    found = keys.text(key)
    assert found == expected
    assert type(found) is str


def test_text_is_not_normalised() -> None:
    assert keys.text("e\u0301") != keys.text("\u00e9")


@pytest.mark.parametrize("key", [None, True, False, 1.0, ("a", "b"), ["a"], object(), Color.NONE, bytearray(b"a")])
def test_another_type_is_refused(key: Any) -> None:
    with pytest.raises(TypeError, match="a key must be str, int, bytes or an Enum of these, not"):
        keys.text(key)


def test_bytes_that_are_not_utf8_say_what_to_pass() -> None:
    with pytest.raises(ValueError, match=r"must be UTF-8, got b'\\xff'; pass key.hex\(\) instead"):
        keys.text(b"\xff")


@pytest.mark.parametrize(
    ("key", "namespace", "expected"),
    [
        ("k", None, "k"),
        ("k", "", "k"),
        ("k", "n", ("n", "k")),
        (1, "n", ("n", "1")),
        ("", "n", ("n", "")),
        ("", None, ""),
    ],
)
def test_a_finished_key_has_a_namespace_or_none(key: object, namespace: str | None, expected: Key) -> None:
    assert keys.finish(key, namespace) == expected
