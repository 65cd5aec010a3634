"""Be the pytest plugin beside the tests of 0.12.3: without these, whole files of them could not be collected.

Private names of 0.12 that are imported at the top of a file stand for nothing here; the tests that use them fail, and are
listed as such. The fixture ``mocker`` is what those tests use of pytest-mock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from aiocache_core.policy import Policy

PRIVATE = {
    "aiocache.base": ["API", "_Conn"],
    "aiocache.decorators": ["_get_args_dict"],
    "aiocache.factory": ["_class_from_string", "_create_cache"],
}


class Gone:
    """Stand for a private name; using it is an error."""

    CMDS: frozenset[Any] = frozenset()


def plain_key(key: Any) -> Any:
    """Do what 0.12.3's ``_ensure_key`` does, with which its tests write what they expect."""
    return getattr(key, "value", key)


for module, names in PRIVATE.items():
    for name in names:
        setattr(import_module(module), name, type(name, (Gone,), {}))
import_module("aiocache.base")._ensure_key = plain_key  # type: ignore[attr-defined]


def given_cache() -> Any:
    """Be what 0.12.3's tests patch to have a decorator use their cache."""
    return None


def make_cache(policy: Policy) -> Any:
    """Return the cache that a test gives to all decorators, or the decorator's own."""
    return import_module("aiocache.decorators")._get_cache() or own_cache(policy)


own_cache = Policy.make_cache
Policy.make_cache = make_cache  # type: ignore[method-assign,assignment]
import_module("aiocache.decorators")._get_cache = given_cache  # type: ignore[attr-defined]


@pytest.fixture
def mocker() -> Iterator[SimpleNamespace]:
    """Spy on functions for the time of a test."""
    with ExitStack() as stack:

        def spy(owner: Any, name: str) -> Any:
            return stack.enter_context(mock.patch.object(owner, name, autospec=True, side_effect=getattr(owner, name)))

        def patch(*args: Any, **kwargs: Any) -> Any:
            return stack.enter_context(mock.patch(*args, **kwargs))

        def patch_object(*args: Any, **kwargs: Any) -> Any:
            return stack.enter_context(mock.patch.object(*args, **kwargs))

        patch.object = patch_object  # type: ignore[attr-defined]
        yield SimpleNamespace(spy=spy, patch=patch)
