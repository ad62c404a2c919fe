"""For tests of code that routes: a clock that stands still, and providers that misbehave.

Write ``pytest_plugins = ["capability_router.testing"]`` in a ``conftest.py`` to get the
``provider_lab`` fixture.
"""

from __future__ import annotations

from capability_router.testing.clock import ManualClock
from capability_router.testing.lab_fixture import provider_lab

__all__ = ["ManualClock", "provider_lab"]
