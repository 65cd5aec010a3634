"""Hold which error is which."""

from __future__ import annotations

import pytest

from aiocache_core import exceptions


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        ("CacheError", (Exception,)),
        ("InvalidCacheType", (exceptions.CacheError,)),
        ("NotInstalled", (exceptions.InvalidCacheType, ImportError)),
        ("PluginLoadError", (exceptions.InvalidCacheType, ImportError)),
        ("PluginConflict", (exceptions.InvalidCacheType,)),
        ("BackendError", (exceptions.CacheError,)),
        ("BackendUnavailable", (exceptions.BackendError, ConnectionError)),
        ("CommandTimeout", (exceptions.BackendUnavailable, TimeoutError)),
        ("ValueTooLarge", (exceptions.BackendError, ValueError)),
        ("DecodeError", (exceptions.CacheError, ValueError)),
        ("UnsupportedCommand", (exceptions.CacheError, NotImplementedError)),
        ("UnstableKeyError", (TypeError,)),
        ("OptimisticLockError", (exceptions.CacheError,)),
        ("LockLost", (exceptions.CacheError,)),
    ],
)
def test_an_error_is_caught_as_its_bases(error: str, bases: tuple[type[BaseException], ...]) -> None:
    kind: type[BaseException] = getattr(exceptions, error)
    assert kind.__bases__ == bases
    for base in bases:
        with pytest.raises(base, match="told"):
            raise kind(error + " told")


def test_an_unavailable_store_is_no_error_of_use() -> None:
    assert not issubclass(exceptions.BackendError, exceptions.InvalidCacheType)
    assert not issubclass(exceptions.UnstableKeyError, exceptions.CacheError)
