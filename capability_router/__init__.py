"""Ask for a capability instead of a provider's model.

Models register at the leaves of a capability tree, pools target any node of it, a rotation policy
moves models between active and standby, and a request fails over when a provider misbehaves.

Each public name is imported on first use, so that importing the package costs nothing;
``__init__.pyi`` tells type checkers the same, and a test holds the two together.
"""

from __future__ import annotations

from importlib import import_module

_HOMES = {
    "AdaptiveConcurrency": "engine.concurrency",
    "AllModelsFailedError": "engine.errors",
    "AmbiguousCapabilityError": "engine.errors",
    "Attempt": "engine.outcome",
    "AttemptTimeoutError": "engine.errors",
    "Backoff": "engine.retry",
    "CalendarReset": "calendars",
    "Call": "engine.call",
    "Candidate": "engine.choice",
    "CapabilityNode": "engine.tree",
    "CapabilityPool": "engine.pool",
    "CapabilityRouter": "router",
    "CapabilityRouterError": "engine.errors",
    "CapabilityTree": "engine.tree",
    "Catalogue": "catalogue.catalogue",
    "CatalogueEntry": "catalogue.entry",
    "Choice": "engine.choice",
    "CompletionRequest": "engine.request",
    "ConfigurationError": "engine.errors",
    "Cooldown": "engine.recovery",
    "CronSpans": "calendars",
    "DeactivationPolicy": "engine.deactivation",
    "Decision": "engine.decision",
    "Degrade": "engine.rotation",
    "Discovery": "catalogue.discovery",
    "ErrorThreshold": "engine.deactivation",
    "EventEmitter": "engine.events",
    "EventType": "engine.events",
    "ExpectedLoad": "linting.load",
    "FAULT_TABLE": "engine.faults",
    "Failure": "engine.outcome",
    "FailureKind": "engine.outcome",
    "FaultRule": "engine.faults",
    "Feature": "engine.feature",
    "Finding": "linting.finding",
    "Forecast": "engine.limits",
    "Health": "engine.faults",
    "Hedge": "engine.hedge",
    "Interruption": "engine.retry",
    "Inventory": "catalogue.environment",
    "JsonLines": "observability.jsonl",
    "LatencyHistogram": "engine.latencies",
    "Lease": "engine.lease",
    "LeaseEndedError": "engine.errors",
    "Limit": "engine.limits",
    "Logging": "observability.logging",
    "Maintenance": "engine.deactivation",
    "Member": "engine.member",
    "Model": "engine.model",
    "ModelState": "engine.state",
    "NoAvailableModelError": "engine.errors",
    "NodeType": "engine.tree",
    "ObservabilityConnector": "engine.observing",
    "OpenTelemetry": "observability.opentelemetry",
    "Outcome": "engine.outcome",
    "PoolPreferences": "engine.membership",
    "PoolState": "engine.state",
    "Price": "engine.model",
    "Priority": "engine.selection",
    "Prober": "probing",
    "Problem": "engine.errors",
    "Prometheus": "observability.prometheus",
    "Provider": "engine.model",
    "ProviderHealth": "engine.provider_health",
    "ProviderOutage": "engine.deactivation",
    "Reason": "engine.reason",
    "RecoveryPolicy": "engine.recovery",
    "RepeatScope": "engine.retry",
    "RetryBudget": "engine.retry",
    "RetryPolicy": "engine.retry",
    "RotationPolicy": "engine.rotation",
    "RoundRobin": "engine.selection",
    "RouterStatistics": "engine.statistics",
    "RoutingEvent": "engine.events",
    "Secret": "engine.model",
    "SecretResolver": "config.references",
    "SelectionStrategy": "engine.selection",
    "Severity": "linting.finding",
    "SlowOutlier": "engine.deactivation",
    "StandbyState": "engine.state",
    "Standing": "engine.choice",
    "Statistics": "engine.statistics",
    "StickUntilFailure": "engine.selection",
    "Stop": "engine.steps",
    "StreamInterruptedError": "engine.errors",
    "SystemClock": "clock",
    "Throttling": "engine.throttling",
    "Try": "engine.steps",
    "Unit": "engine.limits",
    "UnknownCapabilityError": "engine.errors",
    "UnknownModelError": "engine.errors",
    "UnknownPoolError": "engine.errors",
    "Usage": "engine.outcome",
    "Verdict": "engine.deactivation",
    "Wait": "engine.steps",
    "Webhook": "observability.webhook",
    "Why": "engine.choice",
    "adiscover": "catalogue.discovery",
    "discover": "catalogue.discovery",
    "lint": "linting.linter",
    "serve_page": "watching.page",
    "strategy": "registry",
}
"""Each public name and the module below this package that defines it."""

# The stub spells it out for those who read and do not run.
__all__ = sorted(_HOMES)  # noqa: PLE0605 - see above  # pyright: ignore[reportUnsupportedDunderAll] - see above


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # The system's clock and the notebooks' view are lent to the engine before any of it is used.
    for lender in ("clock", "display"):
        import_module(f"capability_router.{lender}")
    value = getattr(import_module(f"capability_router.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
