"""For tests of code that routes: a clock that stands still, and providers that misbehave.

Write ``pytest_plugins = ["capability_router.testing"]`` in a ``conftest.py`` to get the
``provider_lab`` fixture; it alone needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capability_router.testing.clock import ManualClock
from capability_router.testing.connectors import check_connector
from capability_router.testing.stores import check_state_store
from capability_router.testing.strategies import check_strategy

if TYPE_CHECKING:
    from capability_router.testing.lab_fixture import provider_lab

__all__ = ["ManualClock", "check_connector", "check_state_store", "check_strategy", "provider_lab"]


def __getattr__(name: str) -> object:
    if name != "provider_lab":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from capability_router.testing.lab_fixture import provider_lab  # noqa: PLC0415 - needs pytest

    return provider_lab


def __dir__() -> list[str]:
    return [*globals(), "provider_lab"]
