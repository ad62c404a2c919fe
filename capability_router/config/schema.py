"""The keys of a configuration, the types of their values and their ranges.

No default stands here: a key that is not given is not passed on, so that the engine's own default
holds. Nor does a sentence for users: ``wording`` has those. Knows one value at a time; what one
part says about another is for ``checks``.
"""

from __future__ import annotations

from typing import Annotated, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from capability_router.calendars import CalendarReset, CronSpans
from capability_router.config.refusal import RefusedError
from capability_router.config.values import (
    BackoffChoice,
    CalendarAmount,
    CalendarMoney,
    Cron,
    DegradeChoices,
    ErrorRate,
    EveryChoice,
    Features,
    HealthChoice,
    HedgeDelay,
    InterruptionChoices,
    Midnight,
    Names,
    Namespace,
    OneOrMore,
    OrEmpty,
    PositiveSeconds,
    ProfileChoice,
    Reasons,
    ResetTime,
    RollingAmount,
    RollingMoney,
    ScopeChoice,
    Seconds,
    SecretText,
    Share,
    StateUrl,
    TimeOfDay,
    Url,
    Zone,
    as_concurrency,
    as_profile,
    as_reset,
    as_state,
)
from capability_router.engine.concurrency import AdaptiveConcurrency

__all__ = [
    "ConcurrencyConfig",
    "DeactivationConfig",
    "FaultConfig",
    "HedgeConfig",
    "LimitsConfig",
    "MaintenanceConfig",
    "ModelConfig",
    "PoolConfig",
    "ProviderConfig",
    "QuotaConfig",
    "RetryConfig",
    "RouterConfig",
    "StateConfig",
    "allowed_keys",
]

_LONGEST_S = 366 * 86_400


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _something(cls, value: object, info: ValidationInfo) -> object:
        """A section may be empty, as when all in it is commented out; a setting may not."""
        if value is not None:
            return value
        if info.field_name and cls.model_fields[info.field_name].default_factory:
            return {}
        raise RefusedError("nothing")


class LimitsConfig(_Section):
    """Limits in rolling windows; the keys are those of ``Unit``, and ``strict`` of ``Limit``."""

    requests: RollingAmount = ()
    input_tokens: RollingAmount = ()
    output_tokens: RollingAmount = ()
    tokens: RollingAmount = ()
    usd: RollingMoney = ()
    strict: bool = False


class ConcurrencyConfig(_Section):
    """Fields of ``AdaptiveConcurrency``; a number stands for all three limits."""

    initial: int | None = Field(default=None, ge=1)
    min: int | None = Field(default=None, ge=1)
    max: int | None = Field(default=None, ge=1)
    tolerance: float | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _is_in_order(self) -> ConcurrencyConfig:
        try:
            AdaptiveConcurrency(**self.model_dump(exclude_unset=True))
        except ValueError as error:
            raise RefusedError("said", why=str(error)) from None
        return self


class ModelLimitsConfig(LimitsConfig):
    """Limits of a model, which may have one of its attempts in flight as well."""

    concurrency: Annotated[ConcurrencyConfig, BeforeValidator(as_concurrency)] | None = None


class QuotaConfig(_Section):
    """Limits in windows of the calendar.

    Attributes:
        resets: Time and zone at which days, weeks and months begin.
        strict: As of limits in rolling windows.
    """

    requests: CalendarAmount = ()
    input_tokens: CalendarAmount = ()
    output_tokens: CalendarAmount = ()
    tokens: CalendarAmount = ()
    usd: CalendarMoney = ()
    resets: ResetTime = ("00:00", "UTC")
    strict: bool = False


class ProviderConfig(_Section):
    """How to reach one provider."""

    vendor: str | None = Field(default=None, min_length=1)
    base_url: Url | None = None
    api_key: SecretText | None = None
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    quota: QuotaConfig = Field(default_factory=QuotaConfig)


class PriceConfig(_Section):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ModelConfig(_Section):
    """One model; its key is ``provider/name``."""

    capabilities: Names | None = Field(default=None, min_length=1)
    features: Features | None = None
    context_window: int | None = Field(default=None, gt=0)
    price: PriceConfig | None = None
    limits: ModelLimitsConfig = Field(default_factory=ModelLimitsConfig)
    quota: QuotaConfig = Field(default_factory=QuotaConfig)
    deprecated_on: Midnight | None = None
    vector_space: str | None = Field(default=None, min_length=1)
    dimensions: int | None = Field(default=None, gt=0)


class SlowConfig(_Section):
    """Fields of ``SlowOutlier``."""

    factor: float | None = Field(default=None, gt=1)
    min_requests: int | None = Field(default=None, ge=1)
    min_models: int | None = Field(default=None, ge=2)
    interval_s: PositiveSeconds | None = Field(default=None, alias="interval")
    first_token: bool | None = None


class OutageConfig(_Section):
    """Fields of ``ProviderOutage``."""

    models: int | None = Field(default=None, ge=2)
    share: float | None = Field(default=None, gt=0, le=1)


class ThrottlingConfig(_Section):
    """Fields of ``Throttling``."""

    k: float | None = Field(default=None, ge=1)


class MaintenanceConfig(_Section):
    """Fields of ``CronSpans``, and whom they are for."""

    cron: Cron
    duration_s: Annotated[PositiveSeconds, Field(le=_LONGEST_S)] = Field(alias="duration")
    zone: Zone = "UTC"
    models: Names = ()
    providers: Names = ()

    @model_validator(mode="after")
    def _ends(self) -> MaintenanceConfig:
        try:
            CronSpans(self.cron, self.duration_s, self.zone)
        except ValueError:
            raise RefusedError("endless_maintenance") from None
        return self


class DeactivationConfig(_Section):
    """Fields of ``ErrorThreshold``, and of ``RotationPolicy`` about leaving."""

    consecutive: int | None = Field(default=None, ge=1, alias="consecutive_failures")
    rate: ErrorRate = Field(default=None, alias="error_rate")
    of_last: int | None = Field(default=None, ge=1, le=256)
    min_requests: int | None = Field(default=None, ge=1)
    within_s: PositiveSeconds | None = Field(default=None, alias="within")
    max_ejected: Share | None = None
    slow: SlowConfig | None = None
    outage: OutageConfig | None = Field(default=None, alias="provider_outage")
    throttling: ThrottlingConfig | None = None
    maintenance: OneOrMore[MaintenanceConfig] = ()


class ResetConfig(_Section):
    """Fields of ``CalendarReset``."""

    every: EveryChoice = "day"
    at: TimeOfDay = "00:00"
    zone: Zone = "UTC"
    day: int = 1

    @model_validator(mode="after")
    def _has_the_day(self) -> ResetConfig:
        try:
            CalendarReset(self.every, self.at, self.zone, self.day)
        except ValueError as error:
            raise RefusedError("said", why=str(error)) from None
        return self


class RecoveryConfig(_Section):
    """Fields of ``Cooldown``."""

    initial_s: PositiveSeconds | None = Field(default=None, alias="cooldown")
    max_s: PositiveSeconds | None = Field(default=None, alias="max_cooldown")
    slow_max_s: PositiveSeconds | None = Field(default=None, alias="slow_max_cooldown")
    multiplier: float | None = Field(default=None, ge=1)
    jitter: Share | None = None
    forget_s: PositiveSeconds | None = Field(default=None, alias="forget_after")
    quota_resets: Annotated[ResetConfig, BeforeValidator(as_reset)] | None = None


class BudgetConfig(_Section):
    """Fields of ``RetryBudget``."""

    share: float | None = Field(default=None, ge=0)
    per_s: float | None = Field(default=None, ge=0, alias="per_second")


class RetryConfig(_Section):
    """Fields of ``RetryPolicy``.

    Attributes:
        profile: Name of the constructor of ``RetryPolicy`` whose values hold where none is given.
    """

    profile: ProfileChoice | None = None
    max_attempts: int | None = Field(default=None, ge=1)
    deadline_s: PositiveSeconds | None = Field(default=None, alias="deadline")
    attempt_timeout_s: PositiveSeconds | None = Field(default=None, alias="attempt_timeout")
    first_token_timeout_s: PositiveSeconds | None = Field(default=None, alias="first_token_timeout")
    stall_timeout_s: PositiveSeconds | None = Field(default=None, alias="stall_timeout")
    trial_timeout_s: PositiveSeconds | None = Field(default=None, alias="trial_timeout")
    same_model: int | None = Field(default=None, ge=1)
    scope: ScopeChoice | None = None
    backoff: BackoffChoice | None = None
    base_s: Seconds | None = Field(default=None, alias="base_delay")
    throttled_s: Seconds | None = Field(default=None, alias="throttled_delay")
    max_backoff_s: Seconds | None = Field(default=None, alias="max_delay")
    max_wait_s: Seconds | None = Field(default=None, alias="max_wait")
    wait_for: Reasons = ()
    on_interruption: InterruptionChoices = ()
    budget: BudgetConfig = Field(default_factory=BudgetConfig)


class HedgeConfig(_Section):
    """Fields of ``Hedge``."""

    after: HedgeDelay | None = None
    min_samples: int | None = Field(default=None, ge=1)


class PoolConfig(_Section):
    """One pool; its key is its name.

    Attributes:
        strategy: Name, or mapping with name and parameters; read by ``plugins``.
        select: Import path of a function; read by ``plugins``.
    """

    hierarchy_node: str
    allowed_providers: Names = ()
    excluded_providers: Names = ()
    select: object = None
    model_priority: Names = ()
    provider_priority: Names = ()
    strategy: object = None
    deactivation: DeactivationConfig = Field(default_factory=DeactivationConfig)
    recovery: RecoveryConfig = Field(default_factory=RecoveryConfig)
    retry: Annotated[RetryConfig, BeforeValidator(as_profile)] = Field(default_factory=RetryConfig)
    hedge: HedgeConfig | None = None
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    quota: QuotaConfig = Field(default_factory=QuotaConfig)
    degrade: DegradeChoices = ()


class FaultConfig(_Section):
    """Cells of one row of the fault table; fields of ``FaultRule``."""

    health: HealthChoice | None = None
    next_model: bool | None = None
    repeatable: bool | None = None


class StateConfig(_Section):
    """Fields of ``StateSpec``."""

    url: StateUrl
    namespace: Namespace = "default"


class RouterConfig(_Section):
    """A whole configuration, as its keys stand in the file.

    Attributes:
        tree: Nodes to add; its shape is free, so it is read by ``nodes``.
        catalogue: Where models are looked up that state no capabilities; read by ``completion``.
        observability: Who is told of events and decisions; read by ``connectors``.
    """

    providers: dict[str, Annotated[ProviderConfig, OrEmpty]] = Field(default_factory=dict)
    models: dict[str, Annotated[ModelConfig, OrEmpty]] = Field(default_factory=dict)
    tree: object = Field(default_factory=dict)
    aliases: dict[str, str] = Field(default_factory=dict)
    pools: dict[str, Annotated[PoolConfig, OrEmpty]] = Field(default_factory=dict)
    faults: dict[str, Annotated[FaultConfig, OrEmpty]] = Field(default_factory=dict)
    allow_imports: bool = False
    catalogue: OneOrMore[Annotated[str, Field(min_length=1)]] = ()
    observability: object = Field(default_factory=list)
    state: Annotated[StateConfig, BeforeValidator(as_state)] | None = None


def allowed_keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the section at a path may have; none if it is no section."""
    section: type[BaseModel] | None = RouterConfig
    steps = iter(path)
    for step in steps:
        if isinstance(step, int):
            continue
        field = _fields(section).get(str(step))
        if field is None:
            return []
        section = _section_in(field)
        if get_origin(field) is dict:
            next(steps, None)
    return list(_fields(section))


def _fields(section: type[BaseModel] | None) -> dict[str, object]:
    """The annotation of each key of a section."""
    fields = section.model_fields if section else {}
    return {field.alias or name: field.annotation for name, field in fields.items()}


def _section_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
