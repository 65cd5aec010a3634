"""Name what can go wrong; every message says what was expected and what to do next."""

from __future__ import annotations


class CacheError(Exception):
    """Be the base of the errors that a cache raises of its own."""


class InvalidCacheType(CacheError):
    """Say that a name, class or URL does not lead to a usable cache, serializer or plugin."""


class NotInstalled(InvalidCacheType, ImportError):
    """Say that a known name belongs to a distribution that is not installed, and which line installs it."""


class PluginLoadError(InvalidCacheType, ImportError):
    """Say that an installed distribution's entry point cannot be imported or has the wrong contract version."""


class PluginConflict(InvalidCacheType):
    """Say that two distributions offer one name; ``"name@distribution"`` settles it."""


class BackendError(CacheError):
    """Say that a store answered with an error; the client's own exception is the cause."""


class BackendUnavailable(BackendError, ConnectionError):
    """Say that a store could not be reached, or was lost in the middle of a command."""


class CommandTimeout(BackendUnavailable, TimeoutError):
    """Say that a command was not done within its timeout, waiting for a connection included."""


class ValueTooLarge(BackendError, ValueError):
    """Say that a value is larger than the store takes; the old value of its key is gone, not stale."""


class DecodeError(CacheError, ValueError):
    """Say that a stored value cannot be decoded; names key and serializer, never the value."""


class UnsupportedCommand(CacheError, NotImplementedError):
    """Say that a store or a configuration cannot do what was asked."""


class UnstableKeyError(TypeError):
    """Say that an argument of a decorated call has no stable encoding to make a key of."""


class OptimisticLockError(CacheError):
    """Say that a value changed between reading it and the compare-and-set."""


class LockLost(CacheError):
    """Say that a lock was no longer held when it was released."""
