"""The one error of the lab itself; faults that are played on purpose are no errors."""

from __future__ import annotations

from capability_router.engine.errors import CapabilityRouterError

__all__ = [
    "LabError",
]


class LabError(CapabilityRouterError):
    """The lab cannot do what was asked, as when a port is taken or a package is missing."""
