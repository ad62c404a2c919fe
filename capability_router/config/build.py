"""From a checked configuration to values of the engine.

Nothing can be wrong any more: whatever could be was found before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from capability_router.calendars import CalendarReset, CronSpans
from capability_router.catalogue.entry import CatalogueEntry
from capability_router.config.plugins import Plugins
from capability_router.config.rates import Rate
from capability_router.config.schema import (
    ConcurrencyConfig,
    DeactivationConfig,
    HedgeConfig,
    LimitsConfig,
    MaintenanceConfig,
    ModelConfig,
    PoolConfig,
    ProviderConfig,
    QuotaConfig,
    RecoveryConfig,
    RetryConfig,
    RouterConfig,
    StateConfig,
)
from capability_router.engine.blueprint import Blueprint, PoolSpec, StateSpec
from capability_router.engine.concurrency import AdaptiveConcurrency, Concurrency
from capability_router.engine.deactivation import (
    ErrorThreshold,
    Maintenance,
    ProviderOutage,
    SlowOutlier,
)
from capability_router.engine.faults import FAULT_TABLE, FaultRule
from capability_router.engine.hedge import Hedge
from capability_router.engine.limits import Limit, Unit
from capability_router.engine.membership import PoolPreferences
from capability_router.engine.model import Model, Price, Provider
from capability_router.engine.outcome import FailureKind
from capability_router.engine.reason import Reason
from capability_router.engine.recovery import Cooldown
from capability_router.engine.retry import RetryBudget, RetryPolicy
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.throttling import Throttling
from capability_router.engine.tree import CapabilityTree
from capability_router.storage.addresses import IN_MEMORY, scheme_of

__all__ = ["build", "limits_of", "stated"]

_OF_THE_POOL = ("max_ejected", "slow", "outage", "throttling", "maintenance")
"""Keys of ``deactivation`` that the rotation policy holds, not its first seam."""

_PROFILES: Mapping[str | None, Callable[[], RetryPolicy]] = {
    None: RetryPolicy,
    "patient": RetryPolicy.patient,
}


def build(
    config: RouterConfig,
    tree: CapabilityTree,
    plugins: Plugins,
    known: Mapping[str, CatalogueEntry],
) -> Blueprint:
    """Turn a configuration that passed every check into values of the engine.

    Args:
        config: The configuration.
        tree: The tree grown from the same document; it becomes the blueprint's own.
        plugins: What the pools of the same document name.
        known: What the catalogue says of each model that states no capabilities, by id.
    """
    return Blueprint(
        tree=tree,
        providers=tuple(_provider(*item) for item in config.providers.items()),
        models=tuple(_model(*item, tree, known) for item in config.models.items()),
        pools=tuple(_pool(*item, tree, plugins) for item in config.pools.items()),
        faults=_faults(config),
        state=_state(config.state),
    )


def _state(config: StateConfig | None) -> StateSpec | None:
    if config is None or scheme_of(config.url.reveal()) == IN_MEMORY:
        return None
    return StateSpec(**_given(config))


def _provider(provider_id: str, config: ProviderConfig) -> Provider:
    reached = _given(config, but=("limits", "quota"))
    return Provider(provider_id, **reached, limits=limits_of(config.limits, config.quota))


def _model(
    model_id: str, config: ModelConfig, tree: CapabilityTree, known: Mapping[str, CatalogueEntry]
) -> Model:
    own = stated(config, tree)
    if model_id not in known:
        return Model(model_id, **own)
    provider = model_id.partition("/")[0]
    return replace(known[model_id].model(provider), **own)


def stated(config: ModelConfig, tree: CapabilityTree) -> dict[str, Any]:
    """Return what the document states of a model, as fields of ``Model``; nothing else.

    Args:
        config: The model's section.
        tree: Where the names of its capabilities are looked up.
    """
    values: dict[str, object] = {
        "features": None if config.features is None else frozenset(config.features),
        "context_window": config.context_window,
        "price": None if config.price is None else Price(config.price.input, config.price.output),
        "deprecated_at": config.deprecated_on,
        "vector_space": config.vector_space,
        "dimensions": config.dimensions,
        "limits": limits_of(config.limits, config.quota) or None,
        "concurrency": _concurrency(config.limits.concurrency),
    }
    if config.capabilities is not None:
        values["capabilities"] = tuple(tree.resolve(name).path for name in config.capabilities)
    return {name: value for name, value in values.items() if value is not None}


def _pool(name: str, config: PoolConfig, tree: CapabilityTree, plugins: Plugins) -> PoolSpec:
    policy = _policy(config)
    if name in plugins.strategies:
        policy = replace(policy, selection=plugins.strategies[name])
    preferences = PoolPreferences(
        allowed_providers=config.allowed_providers,
        excluded_providers=config.excluded_providers,
        model_priority=config.model_priority,
        provider_priority=config.provider_priority,
        select=plugins.selects.get(name),
    )
    return PoolSpec(name, tree.resolve(config.hierarchy_node).path, policy, preferences)


def _policy(config: PoolConfig) -> RotationPolicy:
    leaving = config.deactivation
    policy = RotationPolicy(
        deactivation=ErrorThreshold(**_given(leaving, but=_OF_THE_POOL)),
        recovery=_recovery(config.recovery),
        retry=_retry(config.retry),
        hedge=_hedge(config.hedge),
        slow=None if leaving.slow is None else SlowOutlier(**_given(leaving.slow)),
        outage=None if leaving.outage is None else ProviderOutage(**_given(leaving.outage)),
        throttling=_throttling(leaving),
        maintenance=tuple(_maintenance(window) for window in leaving.maintenance),
        limits=limits_of(config.limits, config.quota),
        degrade=config.degrade,
    )
    if leaving.max_ejected is not None:
        policy = replace(policy, max_ejected=leaving.max_ejected)
    return policy


def _throttling(config: DeactivationConfig) -> Throttling | None:
    return None if config.throttling is None else Throttling(**_given(config.throttling))


def _maintenance(config: MaintenanceConfig) -> Maintenance:
    spans = CronSpans(config.cron, config.duration_s, config.zone)
    return Maintenance(spans, config.models, config.providers)


def _recovery(config: RecoveryConfig) -> Cooldown:
    cooldown = Cooldown(**_given(config, but=("quota_resets",)))
    resets = config.quota_resets
    if resets is None:
        return cooldown
    schedule = CalendarReset(resets.every, resets.at, resets.zone, resets.day)
    return replace(cooldown, quota_resets=schedule)


def _retry(config: RetryConfig) -> RetryPolicy:
    values = _given(config, but=("profile", "wait_for", "budget"))
    if "wait_for" in config.model_fields_set:
        values["wait_for"] = frozenset(config.wait_for)
    if "budget" in config.model_fields_set:
        values["budget"] = RetryBudget(**_given(config.budget))
    return replace(_PROFILES[config.profile](), **values)


def _hedge(config: HedgeConfig | None) -> Hedge | None:
    if config is None:
        return None
    after: dict[str, Any] = {} if config.after is None else dict([config.after])
    return Hedge(**after, **_given(config, but=("after",)))


def limits_of(rolling: LimitsConfig, renewed: QuotaConfig) -> tuple[Limit, ...]:
    """Return what ``limits`` and ``quota`` of a section say."""
    limits = [
        Limit(unit, rate.amount, rate.window_s, strict=rolling.strict)
        for unit, rate in _rates(rolling)
    ]
    return (*limits, *(_quota(unit, rate, renewed) for unit, rate in _rates(renewed)))


def _concurrency(config: ConcurrencyConfig | None) -> Concurrency | None:
    if config is None:
        return None
    if config.min is not None and config.min == config.max:
        return config.max
    return AdaptiveConcurrency(**_given(config))


def _rates(section: BaseModel) -> list[tuple[Unit, Rate]]:
    return [(unit, rate) for unit in Unit for rate in getattr(section, unit)]


def _quota(unit: Unit, rate: Rate, renewed: QuotaConfig) -> Limit:
    reason = "" if unit is Unit.USD else str(Reason.QUOTA_EXHAUSTED)
    at, zone = renewed.resets
    # The time is that of a day: hours and minutes begin as they do on the clock.
    at = "00:00" if rate.every in ("hour", "minute") else at
    resets = None if rate.every is None else CalendarReset(rate.every, at, zone)
    return Limit(unit, rate.amount, resets=resets, reason=reason, strict=renewed.strict)


def _faults(config: RouterConfig) -> Mapping[FailureKind, FaultRule]:
    table = dict(FAULT_TABLE)
    for name, cells in config.faults.items():
        kind = FailureKind(name)
        table[kind] = replace(table[kind], **_given(cells))
    return MappingProxyType(table)


def _given(section: BaseModel, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields that the document sets; the engine's defaults hold for the others.

    The schema has checked each field's type.
    """
    given = section.model_fields_set.difference(but)
    return {name: getattr(section, name) for name in given}
