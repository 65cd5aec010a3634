"""Hold a backend to the contract: one body of tests over every store.

A store's whole test file::

    import pytest
    from aiocache_core import Backend

    from aiocache_acme import AcmeBackend
    from tests.conformance import BackendConformance, Factory


    class TestAcme(BackendConformance):
        backend_class = AcmeBackend

        @pytest.fixture
        def factory(self, acme_server) -> Factory:
            return lambda: AcmeBackend(port=acme_server.port)

``factory`` makes a new backend object over one and the same store each time, as another process would. The store is cleared
before each test, so give it one that holds nothing of worth and that nobody else uses meanwhile.

Which tests there are follows from what the backend declares in its ``Abilities``: the tests of an ability that it has not are
not collected; instead the commands must raise ``UnsupportedCommand``. Nothing is skipped.

A store whose clock can be injected also has a fixture ``advance``: a function that moves the clock by seconds. Otherwise the
suite sleeps, a few seconds in all.

A part is a class; the tests of one part run with ``pytest -k``, for example ``-k "lease or leased"``. The tests are coroutines
marked for pytest-asyncio, in whichever mode; a test may run for thirty seconds at most before it is taken for one that hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from aiocache_core import Backend
from tests.conformance.abilities import Declared
from tests.conformance.bulk import Bulk
from tests.conformance.cancellation import Cancellation
from tests.conformance.closing import Closing
from tests.conformance.concurrency import Concurrency
from tests.conformance.core import Core
from tests.conformance.counters import Counters
from tests.conformance.harness import CASES, Store
from tests.conformance.leases import Leases
from tests.conformance.loops import Loops
from tests.conformance.namespaces import Namespaces
from tests.conformance.processes import Processes
from tests.conformance.ttl import Ttl
from tests.conformance.values import Values
from tests.conformance.versions import Versions

__all__ = ["Advance", "BackendConformance", "Factory", "Store"]

Factory = Callable[[], Backend]
Advance = Callable[[float], None]


class BackendConformance(
    Core,
    Ttl,
    Bulk,
    Counters,
    Versions,
    Leases,
    Namespaces,
    Values,
    Cancellation,
    Concurrency,
    Loops,
    Processes,
    Closing,
    Declared,
):
    """Be the tests of a backend: subclass it as ``TestSomething``, name the backend's class, and give a ``factory``."""

    backend_class: ClassVar[type[Backend]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take the tests away that are not for this backend."""
        super().__init_subclass__(**kwargs)
        backend_class = getattr(cls, "backend_class", None)
        if backend_class is None:
            message = f"{cls.__name__} must name its backend's class: backend_class = SomeBackend"
            raise TypeError(message)
        for name, case in CASES.items():
            if not case.when(backend_class):
                setattr(cls, name, None)  # pytest collects what can be called

    @pytest.fixture
    def advance(self) -> Advance | None:
        """Move the store's clock by seconds; None where the clock is the world's."""
        return None

    @pytest.fixture
    def store(self, factory: Factory, advance: Advance | None) -> Store:
        """Be the store under test."""
        return Store(factory, advance)
