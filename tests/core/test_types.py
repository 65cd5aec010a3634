"""Hold the sentinels and how a ttl is read."""

from __future__ import annotations

import copy
import math
import pickle
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocache_core._types import KEEP, MISS, UNSET, seconds


@pytest.mark.parametrize("sentinel", [UNSET, MISS, KEEP])
def test_a_sentinel_is_one_object(sentinel: Any) -> None:
    assert copy.deepcopy(sentinel) is sentinel
    assert pickle.loads(pickle.dumps(sentinel)) is sentinel
    assert type(sentinel)(sentinel.value) is sentinel


def test_sentinels_tell_their_names() -> None:
    assert [repr(sentinel) for sentinel in (UNSET, MISS, KEEP)] == ["UNSET", "MISS", "KEEP"]


def test_what_is_absent_is_false() -> None:
    assert not UNSET
    assert not MISS


@pytest.mark.parametrize("ttl", [None, 0, 0.0, -0.0, math.inf, timedelta(0)])
def test_none_zero_and_infinity_are_no_expiry(ttl: Any) -> None:
    assert seconds(ttl) is None


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(1, 1.0), (0.25, 0.25), (timedelta(minutes=1), 60.0), (timedelta(milliseconds=1), 0.001), (10**9, 1e9)],
)
def test_a_ttl_is_seconds(ttl: Any, expected: float) -> None:
    found = seconds(ttl)
    assert found == expected
    assert type(found) is float


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False))
def test_a_positive_number_is_kept(ttl: float) -> None:
    assert seconds(ttl) == ttl


@pytest.mark.parametrize("ttl", [-1, -0.001, -math.inf, math.nan, timedelta(seconds=-1)])
def test_a_negative_ttl_and_nan_are_refused(ttl: Any) -> None:
    with pytest.raises(ValueError, match=r"ttl must not be negative or NaN, got .*; use 0 or None for no expiry"):
        seconds(ttl)


@pytest.mark.parametrize("ttl", [True, False, "10", b"10", [1], Fraction(1, 2), UNSET])
def test_another_type_is_refused(ttl: Any) -> None:
    with pytest.raises(TypeError, match="ttl must be a number of seconds, a timedelta or None, not"):
        seconds(ttl)


def test_an_error_names_what_was_read() -> None:
    with pytest.raises(TypeError, match=r"^timeout must be a number .* not 'soon' \(str\)$"):
        seconds("soon", "timeout")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^lease must not be negative or NaN, got -1"):
        seconds(-1, "lease")
