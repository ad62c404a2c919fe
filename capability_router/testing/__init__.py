"""For tests of code that routes: a clock that stands still, and providers that misbehave.

``check_strategy`` tells whether a strategy of your own keeps what a pool relies on.

Write ``pytest_plugins = ["capability_router.testing"]`` in a ``conftest.py`` to get the
``provider_lab`` fixture.
"""

from __future__ import annotations

from capability_router.testing.clock import ManualClock
from capability_router.testing.lab_fixture import provider_lab
from capability_router.testing.strategies import check_strategy

__all__ = ["ManualClock", "check_strategy", "provider_lab"]
