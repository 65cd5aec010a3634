"""Hold how keys of calls are made: binding, names, digests, the memo, unstable arguments, and the instances of methods."""

from __future__ import annotations

import enum
import functools
import gc
import inspect
import os
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import attrs
import pytest

from aiocache_core import callkeys
from aiocache_core.callkeys import MEMO_SIZE, TOKENS, CallKeys, InstanceTokens, encode
from aiocache_core.exceptions import UnstableKeyError


async def price(item: Any, currency: Any = "EUR", *, day: Any = None) -> None: ...


class Shop:
    async def price(self, item: Any) -> None: ...

    @classmethod
    async def prices(cls, item: Any) -> None: ...


class Sealed:
    __slots__ = ()

    async def price(self) -> None: ...


class Loud:
    """Be hashable in a way that raises."""

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __cache_key__(self) -> int:
        return 1


def key(*args: Any, **kwargs: Any) -> str:
    return CallKeys(price).key(args, kwargs)


# -- names and digests -------------------------------------------------------------------------------------------------


def test_a_key_reads_as_the_call() -> None:
    assert key(1) == f"{__name__}.price(1,'EUR',day=None)"


def test_all_keys_of_a_function_and_no_others_begin_with_its_prefix() -> None:
    keys = CallKeys(price)
    assert keys.prefix == f"{__name__}.price("
    assert key(1).startswith(keys.prefix)
    assert key("x" * 1000).startswith(keys.prefix)
    assert not CallKeys(price, name=f"{__name__}.price_all").prefix.startswith(keys.prefix)


def test_a_name_cannot_read_as_another_functions_call() -> None:
    prefixes = [CallKeys(price, name=name).prefix for name in ("shop.f", "shop.f(1", "shop.f%281", "shop.f#2")]
    for prefix in prefixes:
        assert [other for other in prefixes if other.startswith(prefix)] == [prefix]


def test_a_name_may_be_given() -> None:
    assert CallKeys(price, name="shop.price#2").key((1,), {}) == "shop.price#2(1,'EUR',day=None)"


def test_long_keys_are_digested_and_short_ones_are_not() -> None:
    keys = CallKeys(price, name="f", max_length=40)
    assert keys.key(("x" * 15,), {}) == f"f('{'x' * 15}','EUR',day=None)"
    digested = [keys.key(("x" * length,), {}) for length in range(21, 300)]
    assert len(set(digested)) == len(digested)
    assert {len(each) for each in digested} == {len("f(#)") + 64}
    assert all(each.startswith("f(#") for each in digested)


def test_a_key_has_at_most_max_length_characters_before_it_is_digested() -> None:
    written = key(1)
    exact = CallKeys(price, max_length=len(written))
    assert exact.key((1,), {}) == written
    assert "#" in CallKeys(price, max_length=len(written) - 1).key((1,), {})


def test_no_short_key_equals_a_digested_one() -> None:
    keys = CallKeys(price, name="f")
    digested = keys.key(("x" * 1000,), {})
    inner = digested.removeprefix("f(").removesuffix(")")
    assert keys.key((inner,), {}) != digested
    assert not encode(inner).startswith("#")


# -- binding -----------------------------------------------------------------------------------------------------------


def test_positional_named_and_default_spellings_are_one() -> None:
    keys = CallKeys(price)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}),
        ((1, "EUR"), {}),
        ((1,), {"currency": "EUR"}),
        ((), {"item": 1}),
        ((), {"day": None, "currency": "EUR", "item": 1}),
        ((1, "EUR"), {"day": None}),
    ]
    assert len({keys.key(*call) for call in calls}) == 1


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        ((), {}, "missing a required"),
        ((1, 2, 3), {}, "too many positional"),
        ((1, 2, 3), {"day": 1}, "too many positional"),
        ((1, 2, 3, 4), {"day": 1}, "too many positional"),
        ((1,), {"item": 1}, "multiple values"),
        ((1,), {"town": 1}, "unexpected keyword"),
        ((1, 2), {"town": 1}, "unexpected keyword"),
    ],
)
def test_a_call_that_does_not_fit_is_a_type_error_that_names_the_function(
    args: tuple[Any, ...], kwargs: dict[str, Any], reason: str
) -> None:
    keys = CallKeys(price)
    for call in [((1, 2), {"day": 1}), ((1, 2), {}), ((1,), {})]:  # what fits is in the memo
        keys.key(*call)
    with pytest.raises(TypeError, match=rf"^price\(\) .*{reason}") as raised:
        keys.key(args, kwargs)
    assert not isinstance(raised.value, UnstableKeyError)


def test_the_call_is_not_changed() -> None:
    kwargs = {"item": 1, "day": 2}
    CallKeys(price).key((), kwargs)
    CallKeys(price, noself=True).key((), kwargs)
    CallKeys(price, method=True, instance_scope=True).key((), kwargs)
    assert kwargs == {"item": 1, "day": 2}


def test_a_default_that_changes_is_written_anew() -> None:
    default = [1]

    async def function(item: int, options: list[int] = default) -> None: ...

    keys = CallKeys(function)
    before = keys.key((1,), {})
    default.append(2)
    assert keys.key((1,), {}) == before.replace("[1]", "[1,2]")


def test_partials() -> None:
    keys = CallKeys(functools.partial(price, 1, day=2), name="f")
    assert keys.key((), {}) == "f('EUR',day=2)"
    assert keys.key((3,), {"day": 4}) == "f(3,day=4)"


# -- the memo ----------------------------------------------------------------------------------------------------------


def test_the_memo_is_bounded() -> None:
    keys = CallKeys(price)
    for item in range(3 * MEMO_SIZE):
        keys.key((item,), {})
        keys.key((), {"item": item, "currency": "EUR", "day": 1})
        assert len(keys._by_position) <= MEMO_SIZE
        assert len(keys._by_name) <= MEMO_SIZE
    assert keys._by_position
    assert keys._by_name


@pytest.mark.parametrize("value", [[1], (1,), 0.0, -0.0, float("nan"), "x" * 1000, Shop, encode, Loud()])
def test_what_could_be_mistaken_or_is_large_is_not_remembered(value: Any) -> None:
    keys = CallKeys(price)
    assert keys.key((value,), {}) == keys.key((value,), {}) == keys.key((), {"item": value})
    assert not keys._by_position
    assert not keys._by_name


def test_a_remembered_call_does_not_answer_an_equal_one_of_other_types() -> None:
    class Same(int):
        pass

    keys = CallKeys(price)
    one = keys.key((1,), {})
    assert len({one, keys.key((True,), {}), keys.key((1.0,), {})}) == 3
    with pytest.raises(UnstableKeyError):
        keys.key((Same(1),), {})


# -- what has no stable encoding ---------------------------------------------------------------------------------------


class Unknown:
    pass


@dataclass
class Bag:
    content: Any


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def looped() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def self_named() -> Bag:
    bag = Bag(None)
    bag.content = {"bag": bag}
    return bag


def local_instance() -> object:
    @dataclass
    class Local:
        x: int = 1

    return Local()


def local_member() -> object:
    class Local(enum.Enum):
        A = 1

    return Local.A


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Unknown(),
        [Unknown()],
        {1: Unknown()},
        Bag((1, Unknown())),
        lambda: None,
        "a".upper,
        functools.partial(print),
        memoryview(b""),
        iter([1]),
        os,
        type("Unknown", (), {"__module__": __name__}),
        type("Unknown", (int,), {"__module__": __name__})(1),
        local_instance(),
        local_member(),
        ValueError("x"),
        types.SimpleNamespace(a=1),
        looped(),
        self_named(),
        nested(5000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_without_a_stable_encoding_is_an_error_that_names_the_ways_out(value: Any) -> None:
    for call in [((value,), {}), ((), {"item": value}), ((1,), {"day": value})]:
        with pytest.raises(UnstableKeyError) as raised:
            CallKeys(price).key(*call)
        message = str(raised.value)
        for part in (f"{__name__}.price", "key=", "key_builder=", "noself=True", "__cache_key__"):
            assert part in message
        assert ("'day'" if "day" in call[1] else "'item'") in message
        assert "0x" not in message


def test_values_are_not_in_the_error() -> None:
    with pytest.raises(UnstableKeyError) as raised:
        key(["secret", Unknown()])
    assert "secret" not in str(raised.value)


def test_deep_values_are_written_up_to_the_limit() -> None:
    assert encode(nested(100)) == "[" * 101 + "]" * 101
    with pytest.raises(UnstableKeyError, match="nested too deeply"):
        encode(nested(101))


def test_a_deep_value_at_the_end_of_the_stack_is_an_unstable_key_error() -> None:
    def call(levels: int) -> str:
        return call(levels - 1) if levels else encode(nested(90))

    used = len(inspect.stack(0))
    with pytest.raises(UnstableKeyError, match="nested too deeply"):
        call(1000 - used - 60)


def test_dunder_cache_key_gives_any_class_an_encoding() -> None:
    class Local:
        def __init__(self, town: Any) -> None:
            self.town = town

        def __cache_key__(self) -> Any:
            return self.town

    name = "'test_dunder_cache_key_gives_any_class_an_encoding.<locals>.Local'"
    assert encode(Local("Rome")) == f"{__name__}:{name}('Rome')"
    assert encode(Local(("Rome", 1))) == f"{__name__}:{name}(('Rome',1))"
    with pytest.raises(UnstableKeyError):
        encode(Local(object()))
    endless = Local(None)
    endless.town = endless
    with pytest.raises(UnstableKeyError):
        encode(endless)


# -- objects of subclasses ---------------------------------------------------------------------------------------------


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "'other'"

    def __str__(self) -> str:
        return "other"


class Numbers(list[int]):
    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


class Slotted(int):
    __slots__ = ()


class Twice(float):
    @cached_property
    def doubled(self) -> float:
        return 2 * self


@dataclass
class Base:
    x: int
    note: str = field(default="", compare=False)


class PlainSubclass(Base):
    more: Any


@dataclass
class Late:
    x: int = field(init=False)


@attrs.define
class Attrs:
    x: int


class AttrsSubclass(Attrs):
    __slots__ = ("more",)
    more: Any


def test_a_subclass_is_read_with_the_methods_of_the_type_it_is_of() -> None:
    assert encode(Text("a")) == f"{__name__}:Text('a')"
    assert encode(Numbers([1, 2])) == f"{__name__}:Numbers([1,2])"
    assert encode(Slotted(1)) == f"{__name__}:Slotted(1)"


def test_cached_properties_are_no_part_of_a_value() -> None:
    value = Twice(1.5)
    before = encode(value)
    assert value.doubled == 3.0
    assert encode(value) == before


def test_a_plain_subclass_of_a_decorated_class_is_written_with_its_own_attributes() -> None:
    one, two = PlainSubclass(1, note="a"), PlainSubclass(1, note="b")
    assert encode(one) == encode(two) == f"{__name__}:PlainSubclass(x=1)"
    one.more = 1
    assert encode(one) == f"{__name__}:PlainSubclass(more=1,x=1)"
    three = AttrsSubclass(1)
    three.more = 2
    assert encode(three) == f"{__name__}:AttrsSubclass(more=2,x=1)"


def test_a_field_that_was_never_set_is_left_out() -> None:
    late = Late()
    assert encode(late) == f"{__name__}:Late()"
    late.x = 1
    assert encode(late) == f"{__name__}:Late(x=1)"


# -- methods -----------------------------------------------------------------------------------------------------------


def in_memory(function: Callable[..., Any] = Shop.price) -> CallKeys:
    return CallKeys(function, method=True, instance_scope=True)


def test_instances_without_an_encoding_are_apart() -> None:
    keys, one, two = in_memory(), Shop(), Shop()
    first = keys.key((one, 1), {})
    assert first == keys.key((one, 1), {}) == keys.key((one,), {"item": 1}) == keys.key((), {"self": one, "item": 1})
    assert first != keys.key((two, 1), {})
    assert first != keys.key((one, True), {})
    assert in_memory(Shop.price).key((one, 1), {}) == first
    assert first.startswith(f"{__name__}.Shop.price({__name__}:Shop#")


def test_a_token_is_never_given_twice_and_keeps_nothing_alive() -> None:
    keys = in_memory()
    made = set()
    for _ in range(100):  # most of them at one address
        shop = Shop()
        made.add(keys.key((shop, 1), {}))
        reference = weakref.ref(shop)
        del shop
        gc.collect()
        assert reference() is None
    assert len(made) == 100


def test_tokens_of_the_dead_are_forgotten() -> None:
    gc.collect()
    before = len(TOKENS)
    shops = [Shop() for _ in range(10)]
    keys = in_memory()
    assert len({keys.key((shop, 1), {}) for shop in shops}) == 10
    assert len(TOKENS) == before + 10
    shops.clear()
    gc.collect()
    assert len(TOKENS) == before


def test_equal_instances_have_tokens_of_their_own() -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    tokens = InstanceTokens()
    one, two = Equal(), Equal()
    assert tokens.stand_in(one) is one
    assert tokens.give(one) is not tokens.give(two)
    assert tokens.give(one) is tokens.give(one) is tokens.stand_in(one)


def test_the_death_of_an_object_does_not_forget_the_next_one_at_its_address() -> None:
    tokens = InstanceTokens()
    one, two = Shop(), Shop()
    old = tokens.give(one)
    entry = tokens._tokens.pop(id(one))
    tokens._tokens[id(two)] = entry  # as if the first had lived where the second does
    assert tokens.stand_in(two) is two
    new = tokens.give(two)
    assert new is not old
    del one
    gc.collect()
    assert tokens.stand_in(two) is new


def test_an_instance_with_an_encoding_is_shared_by_value() -> None:
    @dataclass
    class Local:
        x: int

    async def method(self: Any) -> None: ...

    keys = in_memory(method)
    assert keys.key((Base(1),), {}) == keys.key((Base(1),), {}) != keys.key((Base(2),), {})
    assert keys.key((Local(1),), {}) != keys.key((Local(1),), {})


def test_a_class_is_its_name_or_a_token() -> None:
    class Local(Shop):
        pass

    keys = in_memory(Shop.prices.__func__)  # type: ignore[attr-defined]  # what a classmethod holds
    assert keys.key((Shop, 1), {}).endswith(f"({__name__}:Shop,1)")
    assert "Local'#" in keys.key((Local, 1), {})


def test_on_a_shared_store_an_instance_without_an_encoding_is_an_error() -> None:
    with pytest.raises(UnstableKeyError, match="'self'.*noself=True.*__cache_key__"):
        CallKeys(Shop.price, method=True).key((Shop(), 1), {})


def test_an_instance_that_cannot_be_weakly_referred_to_is_an_error() -> None:
    with pytest.raises(UnstableKeyError, match="'self'.*cannot be weakly referred to.*__weakref__"):
        in_memory(Sealed.price).key((Sealed(),), {})


def test_only_the_first_argument_of_a_method_may_have_a_token() -> None:
    with pytest.raises(UnstableKeyError, match="'item'"):
        in_memory().key((Shop(), Shop()), {})
    with pytest.raises(UnstableKeyError, match="'item'"):
        CallKeys(price, instance_scope=True).key((Shop(),), {})


def test_noself_leaves_the_first_argument_out() -> None:
    for method in (True, False):
        keys = CallKeys(Shop.price, noself=True, method=method)
        assert keys.key((Shop(), 1), {}) == keys.key((), {"self": Shop(), "item": 1}) == f"{__name__}.Shop.price(1)"
        with pytest.raises(TypeError, match=r"^Shop.price\(\) missing"):
            keys.key((), {})

    async def star(*args: Any, **kwargs: Any) -> None: ...

    async def bare() -> None: ...

    assert CallKeys(star, noself=True, name="f").key((Shop(), 1), {"self": 2}) == "f(1,self=2)"
    assert CallKeys(star, noself=True, name="f").key((), {}) == "f()"
    assert CallKeys(bare, noself=True, name="f").key((), {}) == "f()"


def test_a_method_of_star_args() -> None:
    async def star(*args: Any) -> None: ...

    keys, shop = in_memory(star), Shop()
    assert keys.key((shop, 1), {}) == keys.key((shop, 1), {}) != keys.key((Shop(), 1), {})


def test_the_tokens_in_the_memo_keep_nothing_alive() -> None:
    keys, shop = in_memory(), Shop()
    for _ in range(3):
        keys.key((shop, 1), {})
    assert any(isinstance(call[-1][0], callkeys.Token) for call in keys._by_position)
    reference = weakref.ref(shop)
    del shop
    gc.collect()
    assert reference() is None
