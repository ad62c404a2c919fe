"""The keys of a configuration, the types of their values and their ranges.

No default stands here: a key that is not given is not passed on, so that the engine's own default
holds. Nor does a sentence for users: ``wording`` has those. Knows one value at a time; what one
part says about another is for ``checks``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Annotated, TypeVar, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
)

from capability_router.config.durations import parse_duration
from capability_router.engine.faults import Health
from capability_router.engine.feature import Feature
from capability_router.engine.model import Secret

__all__ = [
    "FaultConfig",
    "ModelConfig",
    "PoolConfig",
    "ProviderConfig",
    "RefusedError",
    "RouterConfig",
    "allowed_keys",
]

Choice = TypeVar("Choice", bound=StrEnum)


class RefusedError(ValueError):
    """What a validator here objects to; ``wording`` has the sentence.

    Args:
        kind: Name of the sentence.
        allowed: What could stand there instead, if that is a closed set.
    """

    def __init__(self, kind: str, allowed: Sequence[str] = ()) -> None:
        super().__init__(kind)
        self.kind = kind
        self.allowed = list(allowed)


def _seconds(value: object) -> float:
    if not isinstance(value, str):
        raise RefusedError("duration_type")
    try:
        return parse_duration(value)
    except ValueError:
        raise RefusedError("duration_type") from None


def _member(choices: type[Choice], value: object) -> Choice:
    if not isinstance(value, str) or value not in set(choices):
        raise RefusedError("choice", [str(choice) for choice in choices])
    return choices(value)


def _secret(value: object) -> Secret:
    if not isinstance(value, str):
        raise RefusedError("secret_type")
    # A client that is given such a key reports it with the key in the message.
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise RefusedError("secret_characters")
    return Secret(value)


def _url(value: str) -> str:
    try:
        url = urlsplit(value)
        hidden = (url.username, url.password, url.query, url.fragment)
        whole = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        raise RefusedError("url") from None
    if not whole or not value.isprintable() or " " in value:
        raise RefusedError("url")
    # It is shown wherever the provider is, so it must not carry what has to be kept secret.
    if any(hidden) or "@" in url.netloc:
        raise RefusedError("url_secret")
    if url.path.rstrip("/").endswith("/chat/completions"):
        raise RefusedError("url_path")
    return value


def _empty_if_nothing(value: object) -> object:
    return {} if value is None else value


Seconds = Annotated[float, BeforeValidator(_seconds)]
PositiveSeconds = Annotated[Seconds, Field(gt=0)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
FeatureChoice = Annotated[Feature, PlainValidator(partial(_member, Feature))]
HealthChoice = Annotated[Health, PlainValidator(partial(_member, Health))]
OrEmpty = BeforeValidator(_empty_if_nothing)


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


class ProviderConfig(_Section):
    """How to reach one provider."""

    vendor: str | None = Field(default=None, min_length=1)
    base_url: Annotated[str, AfterValidator(_url)] | None = None
    api_key: Annotated[Secret, PlainValidator(_secret)] | None = None


class PriceConfig(_Section):
    """US dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ModelConfig(_Section):
    """One model; its key is ``provider/name``."""

    capabilities: Names = Field(min_length=1)
    features: Annotated[tuple[FeatureChoice, ...], Field(strict=False)] | None = None
    context_window: int | None = Field(default=None, gt=0)
    price: PriceConfig | None = None


class DeactivationConfig(_Section):
    """Fields of ``ConsecutiveFailures``."""

    threshold: int | None = Field(default=None, ge=1, alias="consecutive_failures")


class RecoveryConfig(_Section):
    """Fields of ``Cooldown``."""

    initial_s: PositiveSeconds | None = Field(default=None, alias="cooldown")
    max_s: PositiveSeconds | None = Field(default=None, alias="max_cooldown")
    slow_max_s: PositiveSeconds | None = Field(default=None, alias="slow_max_cooldown")
    multiplier: float | None = Field(default=None, ge=1)
    jitter: float | None = Field(default=None, ge=0, le=1)
    forget_s: PositiveSeconds | None = Field(default=None, alias="forget_after")


class RetryConfig(_Section):
    """Fields of ``RetryPolicy``."""

    max_attempts: int | None = Field(default=None, ge=1)
    deadline_s: PositiveSeconds | None = Field(default=None, alias="deadline")
    attempt_timeout_s: PositiveSeconds | None = Field(default=None, alias="attempt_timeout")
    backoff_s: Seconds | None = Field(default=None, alias="backoff")


class PoolConfig(_Section):
    """One pool; its key is its name."""

    hierarchy_node: str
    allowed_providers: Names = ()
    excluded_providers: Names = ()
    model_priority: Names = ()
    provider_priority: Names = ()
    strategy: str | None = None
    deactivation: DeactivationConfig = Field(default_factory=DeactivationConfig)
    recovery: RecoveryConfig = Field(default_factory=RecoveryConfig)
    retry: RetryConfig = Field(default_factory=RetryConfig)


class FaultConfig(_Section):
    """Cells of one row of the fault table; fields of ``FaultRule``."""

    health: HealthChoice | None = None
    next_model: bool | None = None
    repeat_if_alone: bool | None = None


class RouterConfig(_Section):
    """A whole configuration, as its keys stand in the file.

    Attributes:
        tree: Nodes to add; its shape is free, so it is read by ``nodes``.
    """

    providers: dict[str, Annotated[ProviderConfig, OrEmpty]] = Field(default_factory=dict)
    models: dict[str, Annotated[ModelConfig, OrEmpty]] = Field(default_factory=dict)
    tree: object = Field(default_factory=dict)
    aliases: dict[str, str] = Field(default_factory=dict)
    pools: dict[str, Annotated[PoolConfig, OrEmpty]] = Field(default_factory=dict)
    faults: dict[str, Annotated[FaultConfig, OrEmpty]] = Field(default_factory=dict)
    allow_imports: bool = False


def allowed_keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the section at a path may have; none if it is no section."""
    section: type[BaseModel] | None = RouterConfig
    steps = iter(path)
    for step in steps:
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
