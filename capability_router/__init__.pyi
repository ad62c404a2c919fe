from capability_router.calendars import (
    CalendarReset as CalendarReset,
)
from capability_router.calendars import (
    CronSpans as CronSpans,
)
from capability_router.catalogue.catalogue import (
    Catalogue as Catalogue,
)
from capability_router.catalogue.discovery import (
    Discovery as Discovery,
)
from capability_router.catalogue.discovery import (
    adiscover as adiscover,
)
from capability_router.catalogue.discovery import (
    discover as discover,
)
from capability_router.catalogue.entry import (
    CatalogueEntry as CatalogueEntry,
)
from capability_router.catalogue.environment import (
    Inventory as Inventory,
)
from capability_router.clock import (
    SystemClock as SystemClock,
)
from capability_router.config.references import (
    SecretResolver as SecretResolver,
)
from capability_router.engine.call import (
    Call as Call,
)
from capability_router.engine.choice import (
    Candidate as Candidate,
)
from capability_router.engine.choice import (
    Choice as Choice,
)
from capability_router.engine.choice import (
    Standing as Standing,
)
from capability_router.engine.choice import (
    Why as Why,
)
from capability_router.engine.concurrency import (
    AdaptiveConcurrency as AdaptiveConcurrency,
)
from capability_router.engine.deactivation import (
    DeactivationPolicy as DeactivationPolicy,
)
from capability_router.engine.deactivation import (
    ErrorThreshold as ErrorThreshold,
)
from capability_router.engine.deactivation import (
    Maintenance as Maintenance,
)
from capability_router.engine.deactivation import (
    ProviderOutage as ProviderOutage,
)
from capability_router.engine.deactivation import (
    SlowOutlier as SlowOutlier,
)
from capability_router.engine.deactivation import (
    Verdict as Verdict,
)
from capability_router.engine.decision import (
    Decision as Decision,
)
from capability_router.engine.errors import (
    AllModelsFailedError as AllModelsFailedError,
)
from capability_router.engine.errors import (
    AmbiguousCapabilityError as AmbiguousCapabilityError,
)
from capability_router.engine.errors import (
    AttemptTimeoutError as AttemptTimeoutError,
)
from capability_router.engine.errors import (
    CapabilityRouterError as CapabilityRouterError,
)
from capability_router.engine.errors import (
    ConfigurationError as ConfigurationError,
)
from capability_router.engine.errors import (
    LeaseEndedError as LeaseEndedError,
)
from capability_router.engine.errors import (
    NoAvailableModelError as NoAvailableModelError,
)
from capability_router.engine.errors import (
    Problem as Problem,
)
from capability_router.engine.errors import (
    StreamInterruptedError as StreamInterruptedError,
)
from capability_router.engine.errors import (
    UnknownCapabilityError as UnknownCapabilityError,
)
from capability_router.engine.errors import (
    UnknownModelError as UnknownModelError,
)
from capability_router.engine.errors import (
    UnknownPoolError as UnknownPoolError,
)
from capability_router.engine.events import (
    EventEmitter as EventEmitter,
)
from capability_router.engine.events import (
    EventType as EventType,
)
from capability_router.engine.events import (
    RoutingEvent as RoutingEvent,
)
from capability_router.engine.faults import (
    FAULT_TABLE as FAULT_TABLE,
)
from capability_router.engine.faults import (
    FaultRule as FaultRule,
)
from capability_router.engine.faults import (
    Health as Health,
)
from capability_router.engine.feature import (
    Feature as Feature,
)
from capability_router.engine.hedge import (
    Hedge as Hedge,
)
from capability_router.engine.latencies import (
    LatencyHistogram as LatencyHistogram,
)
from capability_router.engine.lease import (
    Lease as Lease,
)
from capability_router.engine.limits import (
    Forecast as Forecast,
)
from capability_router.engine.limits import (
    Limit as Limit,
)
from capability_router.engine.limits import (
    Unit as Unit,
)
from capability_router.engine.member import (
    Member as Member,
)
from capability_router.engine.membership import (
    PoolPreferences as PoolPreferences,
)
from capability_router.engine.model import (
    Model as Model,
)
from capability_router.engine.model import (
    Price as Price,
)
from capability_router.engine.model import (
    Provider as Provider,
)
from capability_router.engine.model import (
    Secret as Secret,
)
from capability_router.engine.observing import (
    ObservabilityConnector as ObservabilityConnector,
)
from capability_router.engine.outcome import (
    Attempt as Attempt,
)
from capability_router.engine.outcome import (
    Failure as Failure,
)
from capability_router.engine.outcome import (
    FailureKind as FailureKind,
)
from capability_router.engine.outcome import (
    Outcome as Outcome,
)
from capability_router.engine.outcome import (
    Usage as Usage,
)
from capability_router.engine.pool import (
    CapabilityPool as CapabilityPool,
)
from capability_router.engine.provider_health import (
    ProviderHealth as ProviderHealth,
)
from capability_router.engine.reason import (
    Reason as Reason,
)
from capability_router.engine.recovery import (
    Cooldown as Cooldown,
)
from capability_router.engine.recovery import (
    RecoveryPolicy as RecoveryPolicy,
)
from capability_router.engine.request import (
    CompletionRequest as CompletionRequest,
)
from capability_router.engine.retry import (
    Backoff as Backoff,
)
from capability_router.engine.retry import (
    Interruption as Interruption,
)
from capability_router.engine.retry import (
    RepeatScope as RepeatScope,
)
from capability_router.engine.retry import (
    RetryBudget as RetryBudget,
)
from capability_router.engine.retry import (
    RetryPolicy as RetryPolicy,
)
from capability_router.engine.rotation import (
    Degrade as Degrade,
)
from capability_router.engine.rotation import (
    RotationPolicy as RotationPolicy,
)
from capability_router.engine.selection import (
    Priority as Priority,
)
from capability_router.engine.selection import (
    RoundRobin as RoundRobin,
)
from capability_router.engine.selection import (
    SelectionStrategy as SelectionStrategy,
)
from capability_router.engine.selection import (
    StickUntilFailure as StickUntilFailure,
)
from capability_router.engine.state import (
    ModelState as ModelState,
)
from capability_router.engine.state import (
    PoolState as PoolState,
)
from capability_router.engine.state import (
    StandbyState as StandbyState,
)
from capability_router.engine.statistics import (
    RouterStatistics as RouterStatistics,
)
from capability_router.engine.statistics import (
    Statistics as Statistics,
)
from capability_router.engine.steps import (
    Stop as Stop,
)
from capability_router.engine.steps import (
    Try as Try,
)
from capability_router.engine.steps import (
    Wait as Wait,
)
from capability_router.engine.throttling import (
    Throttling as Throttling,
)
from capability_router.engine.tree import (
    CapabilityNode as CapabilityNode,
)
from capability_router.engine.tree import (
    CapabilityTree as CapabilityTree,
)
from capability_router.engine.tree import (
    NodeType as NodeType,
)
from capability_router.linting.finding import (
    Finding as Finding,
)
from capability_router.linting.finding import (
    Severity as Severity,
)
from capability_router.linting.linter import (
    lint as lint,
)
from capability_router.linting.load import (
    ExpectedLoad as ExpectedLoad,
)
from capability_router.observability.jsonl import (
    JsonLines as JsonLines,
)
from capability_router.observability.logging import (
    Logging as Logging,
)
from capability_router.observability.opentelemetry import (
    OpenTelemetry as OpenTelemetry,
)
from capability_router.observability.prometheus import (
    Prometheus as Prometheus,
)
from capability_router.observability.webhook import (
    Webhook as Webhook,
)
from capability_router.probing import (
    Prober as Prober,
)
from capability_router.registry import (
    strategy as strategy,
)
from capability_router.router import (
    CapabilityRouter as CapabilityRouter,
)
from capability_router.watching.page import (
    serve_page as serve_page,
)

__all__ = [
    "FAULT_TABLE",
    "AdaptiveConcurrency",
    "AllModelsFailedError",
    "AmbiguousCapabilityError",
    "Attempt",
    "AttemptTimeoutError",
    "Backoff",
    "CalendarReset",
    "Call",
    "Candidate",
    "CapabilityNode",
    "CapabilityPool",
    "CapabilityRouter",
    "CapabilityRouterError",
    "CapabilityTree",
    "Catalogue",
    "CatalogueEntry",
    "Choice",
    "CompletionRequest",
    "ConfigurationError",
    "Cooldown",
    "CronSpans",
    "DeactivationPolicy",
    "Decision",
    "Degrade",
    "Discovery",
    "ErrorThreshold",
    "EventEmitter",
    "EventType",
    "ExpectedLoad",
    "Failure",
    "FailureKind",
    "FaultRule",
    "Feature",
    "Finding",
    "Forecast",
    "Health",
    "Hedge",
    "Interruption",
    "Inventory",
    "JsonLines",
    "LatencyHistogram",
    "Lease",
    "LeaseEndedError",
    "Limit",
    "Logging",
    "Maintenance",
    "Member",
    "Model",
    "ModelState",
    "NoAvailableModelError",
    "NodeType",
    "ObservabilityConnector",
    "OpenTelemetry",
    "Outcome",
    "PoolPreferences",
    "PoolState",
    "Price",
    "Priority",
    "Prober",
    "Problem",
    "Prometheus",
    "Provider",
    "ProviderHealth",
    "ProviderOutage",
    "Reason",
    "RecoveryPolicy",
    "RepeatScope",
    "RetryBudget",
    "RetryPolicy",
    "RotationPolicy",
    "RoundRobin",
    "RouterStatistics",
    "RoutingEvent",
    "Secret",
    "SecretResolver",
    "SelectionStrategy",
    "Severity",
    "SlowOutlier",
    "StandbyState",
    "Standing",
    "Statistics",
    "StickUntilFailure",
    "Stop",
    "StreamInterruptedError",
    "SystemClock",
    "Throttling",
    "Try",
    "Unit",
    "UnknownCapabilityError",
    "UnknownModelError",
    "UnknownPoolError",
    "Usage",
    "Verdict",
    "Wait",
    "Webhook",
    "Why",
    "adiscover",
    "discover",
    "lint",
    "serve_page",
    "strategy",
]
