"""Hold what the serializers store and read, and the pipeline that a cache runs them in."""

from __future__ import annotations

import copy
import enum
import hashlib
import hmac
import json
import pickle
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields, post_load

from aiocache_core import keys, records
from aiocache_core._types import Key
from aiocache_core.exceptions import DecodeError, InvalidCacheType
from aiocache_core.serializers import (
    BaseSerializer,
    JsonSerializer,
    KeyedSerializer,
    NullSerializer,
    PickleSerializer,
    Pipeline,
    Serializer,
    StringSerializer,
    make_steps,
)


@dataclass
class Person:
    name: str


class Size(enum.IntEnum):
    SMALL = 1


class PersonSchema(Schema, BaseSerializer):
    name = fields.String()

    @post_load
    def make(self, data: dict[str, Any], **kwargs: Any) -> Person:
        return Person(**data)


class Zlib(BaseSerializer):
    DEFAULT_ENCODING = None

    def dumps(self, value: bytes, /) -> bytes:
        return zlib.compress(value)

    def loads(self, stored: bytes, /) -> bytes:
        return zlib.decompress(stored)


class Signed(BaseSerializer):
    """Put an HMAC over key and value before the value: what was stored for one key is not accepted for another."""

    DEFAULT_ENCODING = None
    keyed: Literal[True] = True

    def __init__(self, secret: bytes) -> None:
        super().__init__()
        self.secret = secret

    def _signature(self, value: bytes, key: Key) -> bytes:
        name = keys.encode(key)
        return hmac.digest(self.secret, len(name).to_bytes(8, "big") + name + value, hashlib.sha256)

    def dumps(self, value: bytes, /, *, key: Key) -> bytes:  # type: ignore[override]  # a keyed one takes the key too
        return self._signature(value, key) + value

    def loads(self, stored: bytes, /, *, key: Key) -> bytes:  # type: ignore[override]
        signature, value = stored[:32], stored[32:]
        if not hmac.compare_digest(signature, self._signature(value, key)):
            message = "the signature is wrong"
            raise ValueError(message)
        return value


def network(*spec: object) -> Pipeline:
    return Pipeline(make_steps(list(spec)), stores_objects=False)


def memory(*spec: object) -> Pipeline:
    return Pipeline(make_steps(list(spec)), stores_objects=True)


# -- the serializers by themselves -----------------------------------------------------------------------------------


def test_the_base_has_an_encoding_and_leaves_the_rest_to_subclasses() -> None:
    assert BaseSerializer.DEFAULT_ENCODING == "utf-8"
    assert BaseSerializer().encoding == "utf-8"
    assert BaseSerializer(encoding=None).encoding is None
    assert BaseSerializer(encoding="latin-1").encoding == "latin-1"
    with pytest.raises(NotImplementedError, match="BaseSerializer must define dumps"):
        BaseSerializer().dumps("x")
    with pytest.raises(NotImplementedError, match="BaseSerializer must define loads"):
        BaseSerializer().loads("x")


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(TypeError, match="JsonSerializer does not know these options: indent, sort"):
        JsonSerializer(indent=2, sort=True)
    with pytest.raises(TypeError, match="PickleSerializer does not know these options: 1 arguments without a name"):
        PickleSerializer(4)


def test_options_go_to_the_next_class() -> None:
    class Other:
        def __init__(self, size: int, *, deep: bool) -> None:
            self.size, self.deep = size, deep

    class Mine(JsonSerializer, Other):
        pass

    mine = Mine(3, deep=True, encoding="latin-1")
    assert (mine.size, mine.deep, mine.encoding) == (3, True, "latin-1")


def test_null_leaves_values_as_they_are() -> None:
    value = object()
    assert NullSerializer().dumps(value) is value
    assert NullSerializer().loads(value) is value


@pytest.mark.parametrize("value", [1, 2.5, "hi", True, None, [1, "a"], {"key": "value"}])
def test_string_stores_text(value: object) -> None:
    assert StringSerializer().dumps(value) == str(value)
    assert StringSerializer().loads("x") == "x"


def test_json_is_compact_and_readable_by_others() -> None:
    assert JsonSerializer().dumps({"a": [1, None, "é"]}) == '{"a":[1,null,"\\u00e9"]}'
    assert JsonSerializer().loads(' { "a" : 1 } ') == {"a": 1}
    assert JsonSerializer().dumps(None) == "null"
    assert JsonSerializer().loads("null") is None
    assert JsonSerializer().loads(None) is None


@pytest.mark.parametrize(
    ("value", "told"), [({1, 2}, "set"), (b"x", "bytes"), (Decimal(1), "Decimal"), ({(1, 2): 3}, "tuple")]
)
def test_a_type_that_json_does_not_have_names_the_next_step(value: object, told: str) -> None:
    with pytest.raises(TypeError, match=f"JSON cannot carry this value .*{told}.*serializer='pickle'"):
        JsonSerializer().dumps(value)


def test_pickle_stores_any_object_as_bytes() -> None:
    person = Person("Ada")
    assert PickleSerializer.DEFAULT_ENCODING is None
    assert PickleSerializer().encoding is None
    assert PickleSerializer().protocol == pickle.DEFAULT_PROTOCOL
    assert PickleSerializer().loads(PickleSerializer().dumps(person)) == person
    assert PickleSerializer(protocol=2).dumps("x").startswith(b"\x80\x02")
    assert PickleSerializer().loads(None) is None


def test_types_of_our_own_fit_the_protocols() -> None:
    plain: list[Serializer] = [NullSerializer(), StringSerializer(), JsonSerializer(), PickleSerializer(), Zlib()]
    keyed: list[KeyedSerializer] = [Signed(b"secret")]
    assert len(network(*plain, *keyed).steps) == 6


# -- what serializer= takes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec",
    [
        "json",
        JsonSerializer,
        JsonSerializer(),
        "aiocache_core.serializers.JsonSerializer",
        {"class": "json"},
        {"class": JsonSerializer},
        {"class": "aiocache_core.JsonSerializer"},
        ["json"],
        ("json",),
    ],
)
def test_one_serializer_is_given_in_many_ways(spec: object) -> None:
    (step,) = make_steps(spec)
    assert isinstance(step, JsonSerializer)


def test_options_are_given_in_a_configuration_which_is_left_alone() -> None:
    configuration = {"class": "pickle", "protocol": 2}
    (step,) = make_steps(configuration)
    assert isinstance(step, PickleSerializer)
    assert step.protocol == 2
    assert configuration == {"class": "pickle", "protocol": 2}


def test_several_come_in_a_list() -> None:
    zipped = Zlib()
    first, second, third = make_steps(["json", zipped, {"class": Signed, "secret": b"s"}])
    assert isinstance(first, JsonSerializer)
    assert second is zipped
    assert isinstance(third, Signed)


@pytest.mark.parametrize(
    ("spec", "error", "told"),
    [
        ([], TypeError, "serializer='null'"),
        (None, TypeError, "NoneType has no dumps"),
        (1, TypeError, "int has no dumps"),
        (json, TypeError, "not the module json"),
        (lambda: JsonSerializer(), TypeError, r"have you forgotten the \(\)"),  # noqa: PLW0108 - a function, no class
        ([["json"]], TypeError, "list has no dumps"),
        (int, InvalidCacheType, "must be a class with the methods dumps and loads"),
        ("jsn", InvalidCacheType, "did you mean 'json'"),
        ({"protocol": 4}, InvalidCacheType, "needs the entry 'class'"),
        ({"class": "json", "indent": 2}, TypeError, "does not know these options: indent"),
    ],
)
def test_anything_else_is_told(spec: object, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        make_steps(spec)


# -- stores of text and bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "value", "stored"),
    [
        ("null", "é", "é".encode()),
        ("null", b"\x00\x01", b"\x00\x01"),
        ("null", bytearray(b"ab"), b"ab"),
        ("null", memoryview(b"ab"), b"ab"),
        ("null", 12, b"12"),
        ("null", -3, b"-3"),
        ("null", Size.SMALL, b"1"),
        ("string", 1.5, b"1.5"),
        ("json", {"a": 1}, b'{"a":1}'),
        ({"class": "string", "encoding": "latin-1"}, "é", b"\xe9"),
        ({"class": "string", "encoding": None}, "é", "é".encode()),
        ("null", "\udc80", b"\xed\xb2\x80"),
    ],
)
def test_bytes_are_stored(spec: object, value: object, stored: bytes) -> None:
    assert network(spec).dumps(value, "k") == stored


@pytest.mark.parametrize(
    ("spec", "stored", "value"),
    [
        ("null", "é".encode(), "é"),
        ("null", "é", "é"),
        ({"class": "null", "encoding": None}, "é".encode(), "é".encode()),
        ({"class": "null", "encoding": None}, "é", "é".encode()),
        ("null", b"12", "12"),
        ("string", b"12", "12"),
        ("json", b"12", 12),
        ("json", "12", 12),
        ({"class": "string", "encoding": "latin-1"}, b"\xe9", "é"),
        ("null", b"\xed\xb2\x80", "\udc80"),
    ],
)
def test_values_are_read(spec: object, stored: object, value: object) -> None:
    assert network(spec).loads(stored, "k") == value


@pytest.mark.parametrize("value", [None, True, 1.5, [1], {"a": 1}, Person("Ada")])
def test_null_takes_no_objects_over_a_network(value: object) -> None:
    with pytest.raises(TypeError, match=f"not {type(value).__name__}; give the cache serializer='json'"):
        network("null").dumps(value, "k")


def test_output_that_is_no_text_nor_bytes_is_told() -> None:
    class Odd(BaseSerializer):
        def dumps(self, value: Any, /) -> Any:
            return [value]

    for pipeline in (network(Odd()), network("json", Odd()), memory("json", Odd())):
        with pytest.raises(TypeError, match=r"Odd\.dumps gave list, where str or bytes were expected"):
            pipeline.dumps("x", "k")
    with pytest.raises(TypeError, match="dumps_fn gave list, where str or bytes were expected"):
        network("null").dumps("x", "k", dumps_fn=lambda value: [value])


@pytest.mark.parametrize("spec", ["string", "json", "pickle", ["json", Zlib()], ["pickle", Zlib(), Signed(b"s")]])
@pytest.mark.parametrize("stores_objects", [False, True])
@pytest.mark.parametrize("key", ["k", ("namespace", "k")])
def test_what_is_stored_is_read(spec: object, stores_objects: bool, key: Key) -> None:
    pipeline = Pipeline(make_steps(spec), stores_objects=stores_objects)
    assert not pipeline.plain
    for value in ("text", "é\udc80", ""):
        assert pipeline.loads(pipeline.dumps(value, key), key) == value


@given(st.text() | st.binary())
def test_null_gives_back_text_as_text_and_bytes_if_asked(value: str | bytes) -> None:
    pipeline = network({"class": "null", "encoding": None} if isinstance(value, bytes) else "null")
    assert pipeline.loads(pipeline.dumps(value, "k"), "k") == value


def test_the_steps_run_left_to_right_and_back() -> None:
    stored = network("json", Zlib()).dumps([1], "k")
    assert zlib.decompress(stored) == b"[1]"
    signed = network("json", Zlib(), Signed(b"s")).dumps([1], "k")
    assert signed[32:] == stored


def test_a_step_from_the_second_on_gets_bytes_whatever_its_encoding() -> None:
    class Told(BaseSerializer):
        def __init__(self) -> None:
            super().__init__(encoding="utf-8")
            self.got: list[Any] = []

        def dumps(self, value: Any, /) -> Any:
            self.got.append(value)
            return value.decode("ascii")

        def loads(self, stored: Any, /) -> Any:
            self.got.append(stored)
            return stored.decode("ascii")

    told = Told()
    pipeline = network("json", told)
    assert pipeline.loads(pipeline.dumps([1], "k"), "k") == [1]
    assert told.got == [b"[1]", b"[1]"]


def test_a_keyed_step_is_told_the_finished_key() -> None:
    pipeline = network("json", Signed(b"secret"))
    stored = pipeline.dumps({"a": 1}, ("app", "user:1"))
    assert pipeline.loads(stored, ("app", "user:1")) == {"a": 1}
    for other in ("user:1", ("app", "user:2"), ("ap", "puser:1")):
        with pytest.raises(DecodeError):
            pipeline.loads(stored, other)
    with pytest.raises(DecodeError):
        network("json", Signed(b"another")).loads(stored, ("app", "user:1"))


def test_a_keyed_step_may_be_the_only_one() -> None:
    pipeline = network(Signed(b"secret"))
    assert pipeline.loads(pipeline.dumps(b"x", "k"), "k") == b"x"


def test_dumps_fn_and_loads_fn_take_the_place_of_the_first_step_only() -> None:
    pipeline = network("json", Zlib())
    stored = pipeline.dumps([1], "k", dumps_fn=lambda value: f"<{value}>")
    assert zlib.decompress(stored) == b"<[1]>"
    assert pipeline.loads(stored, "k", loads_fn=lambda text: text.strip("<>")) == "[1]"
    assert network("null").dumps(1, "k", dumps_fn=lambda value: value + 1) == b"2"
    assert network("pickle").loads(b"ab", "k", loads_fn=lambda stored: stored) == b"ab"
    keyed = network(Signed(b"secret"))
    assert keyed.loads(keyed.dumps(b"x", "k", dumps_fn=bytes), "k", loads_fn=bytes) == b"x"


def test_output_that_begins_like_a_record_is_protected() -> None:
    value = records.new_mark(1)
    pipeline = network({"class": "null", "encoding": None})
    stored = pipeline.dumps(value, "k")
    assert not records.is_mark(stored)
    assert pipeline.loads(stored, "k") == value


def test_memory_needs_no_protection() -> None:
    value = records.PREFIX + b"x"
    assert memory(Zlib(), Zlib()).loads(memory(Zlib(), Zlib()).dumps(value, "k"), "k") == value
    assert memory(StringSerializer(encoding=None)).loads(value, "k") == value


# -- errors of reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "stored", "named"),
    [
        (["json"], b'{"s3cret"', "JsonSerializer"),
        (["json"], b"s3cret\xff", "JsonSerializer"),
        (["null"], b"s3cret\xff", "NullSerializer"),
        (["pickle"], b"s3cret", "PickleSerializer"),
        (["json", Zlib()], b"s3cret", "Zlib"),
        (["json", Zlib()], zlib.compress(b"s3cret"), "JsonSerializer"),
        (["json"], records.PREFIX + b"s3cret", "JsonSerializer"),
    ],
)
def test_what_cannot_be_decoded_names_key_and_serializer_and_not_the_value(
    spec: list[Any], stored: bytes, named: str
) -> None:
    with pytest.raises(DecodeError) as raised:
        network(*spec).loads(stored, ("app", "user:1"))
    message = str(raised.value)
    assert "('app', 'user:1')" in message
    assert named in message
    assert "delete the key" in message
    assert "s3cret" not in message
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_failing_loads_fn_is_named() -> None:
    def loads_fn(stored: str) -> Any:
        raise LookupError(stored)

    for pipeline in (network("json"), memory("json"), memory("null")):
        with pytest.raises(DecodeError, match=r"'k' cannot be decoded by loads_fn \(LookupError\)") as raised:
            pipeline.loads("s3cret", "k", loads_fn)
        assert "s3cret" not in str(raised.value)


# -- stores that keep objects ----------------------------------------------------------------------------------------


def test_a_single_null_serializer_is_plain_where_objects_are_kept() -> None:
    assert memory("null").plain
    assert not network("null").plain
    assert not memory("null", Zlib()).plain

    class Doubling(NullSerializer):
        def dumps(self, value: Any, /) -> Any:
            return value * 2

    assert not memory(Doubling()).plain
    value = object()
    assert memory("null").dumps(value, "k") is value
    assert memory("null").loads(value, "k") is value
    assert memory("null").loads(5, "k") == 5
    assert memory("null").loads(5, "k", loads_fn=lambda number: number + 1) == 6


def test_output_is_kept_as_it_is() -> None:
    assert memory("string").dumps("é", "k") == "é"
    assert memory("pickle").dumps("é", "k") == pickle.dumps("é")
    assert memory({"class": "null", "encoding": None}).dumps("é", "k") == "é"


@pytest.mark.parametrize(
    ("spec", "value"),
    [("string", "7"), ("json", 7), ({"class": "string", "encoding": None}, b"7"), ("null", 7)],
)
def test_a_counter_is_read_as_decimal_text(spec: object, value: object) -> None:
    assert memory(spec).loads(7, "k") == value


def test_a_counter_past_other_steps_cannot_be_decoded() -> None:
    with pytest.raises(DecodeError):
        memory("json", Signed(b"s")).loads(7, "k")
    with pytest.raises(DecodeError):
        memory("pickle").loads(7, "k")


def test_integers_that_a_serializer_gives_are_read_as_integers() -> None:
    class Copying(BaseSerializer):
        def dumps(self, value: Any, /) -> Any:
            return copy.deepcopy(value)

        def loads(self, stored: Any, /) -> Any:
            return copy.deepcopy(stored)

    pipeline = memory(Copying())
    for value in (5, [5], "5"):
        assert pipeline.loads(pipeline.dumps(value, "k"), "k") == value


# -- serializers of others -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [network, memory])
def test_a_marshmallow_schema_may_be_a_serializer(make: Callable[..., Pipeline]) -> None:
    pipeline = make(PersonSchema())
    stored = pipeline.dumps(Person("Ada"), "k")
    assert json.loads(stored) == {"name": "Ada"}
    assert pipeline.loads(stored, "k") == Person("Ada")


def test_one_without_an_encoding_gets_text() -> None:
    class Plain:
        def dumps(self, value: Any) -> str:
            return str(value)

        def loads(self, stored: Any) -> Any:
            return stored

    assert network(Plain()).loads(b"x", "k") == "x"


def test_one_whose_init_is_not_called_keeps_its_default_encoding() -> None:
    class Uncooperative(PickleSerializer):
        def __init__(self) -> None:
            self.protocol = 4

    assert network(Uncooperative()).loads(pickle.dumps(1), "k") == 1
