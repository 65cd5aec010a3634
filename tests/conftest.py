"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

if os.environ.get("CI") != "true":  # there hypothesis has settings of its own, which make each run the same
    settings.register_profile("here", deadline=None)  # no test is decided by the time it takes
    settings.load_profile("here")
