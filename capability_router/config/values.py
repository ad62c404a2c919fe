"""Single values of a configuration: how each is written, and what is refused.

Holds no sentence for users: ``wording`` has those. Knows no key.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from enum import StrEnum
from functools import partial
from typing import Annotated, TypeVar, cast, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from capability_router.calendars import CalendarReset, CronSpans, Every, parse_reset
from capability_router.config.durations import parse_duration
from capability_router.config.rates import Rate, calendar_rate, rolling_rate
from capability_router.config.references import is_usable_key
from capability_router.config.refusal import RefusedError
from capability_router.engine.faults import Health
from capability_router.engine.feature import Feature
from capability_router.engine.model import Secret
from capability_router.engine.reason import Reason
from capability_router.engine.retry import Backoff, Interruption, RepeatScope
from capability_router.engine.rotation import Degrade
from capability_router.storage.addresses import SCHEMES, check_address, scheme_of

__all__ = [
    "BackoffChoice",
    "CalendarAmount",
    "CalendarMoney",
    "Cron",
    "DegradeChoices",
    "ErrorRate",
    "EveryChoice",
    "Features",
    "HealthChoice",
    "HedgeDelay",
    "InterruptionChoices",
    "Midnight",
    "Names",
    "Namespace",
    "OneOrMore",
    "OrEmpty",
    "PositiveSeconds",
    "ProfileChoice",
    "Reasons",
    "ResetTime",
    "RollingAmount",
    "RollingMoney",
    "ScopeChoice",
    "Seconds",
    "SecretText",
    "Share",
    "StateUrl",
    "TimeOfDay",
    "Url",
    "Zone",
    "as_concurrency",
    "as_profile",
    "as_reset",
    "as_state",
]

Choice = TypeVar("Choice", bound=StrEnum)
Item = TypeVar("Item")

_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]+)?)")
_PROFILES = ("patient",)
_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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


def _hedge_delay(value: object) -> tuple[str, float]:
    """Which field of ``Hedge`` says when, and its value."""
    share = _PERCENTILE.fullmatch(value) if isinstance(value, str) else None
    if share is not None and float(share[1]) > 0:
        return "percentile", float(share[1]) / 100
    try:
        return "after_s", parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        raise RefusedError("hedge_delay") from None


def _profile(value: object) -> str:
    if value not in _PROFILES:
        raise RefusedError("choice", _PROFILES)
    return str(value)


def as_profile(value: object) -> object:
    """Take the name of a profile for the section that it stands for."""
    return {"profile": value} if isinstance(value, str) else value


def _every(value: object) -> Every:
    if value not in get_args(Every):
        raise RefusedError("choice", get_args(Every))
    return cast("Every", value)


def _secret(value: object) -> Secret:
    if not isinstance(value, str):
        raise RefusedError("secret_type")
    if not is_usable_key(value):
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


def _state_url(value: object) -> Secret:
    if not isinstance(value, str) or not scheme_of(value):
        raise RefusedError("state_url")
    if scheme_of(value) not in SCHEMES:
        raise RefusedError("state_scheme", SCHEMES)
    try:
        check_address(value)
    except ValueError as error:
        refused = RefusedError("said", why=str(error))
    else:
        return Secret(value)
    raise refused


def as_state(value: object) -> object:
    """Take an address for the mapping that it stands for."""
    if isinstance(value, str):
        _state_url(value)
        return {"url": value}
    if not isinstance(value, dict):
        raise RefusedError("state_or_mapping")
    return cast("object", value)


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise RefusedError("namespace")
    return value


def _midnight(value: object) -> float:
    """The first moment of a date, in seconds since 1970 UTC."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise RefusedError("date")
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC).timestamp()
    except ValueError:
        raise RefusedError("date") from None


def _reset_time(value: object) -> tuple[str, str]:
    if not isinstance(value, str):
        raise RefusedError("reset")
    try:
        return parse_reset(value)
    except ValueError as error:
        kind = "zone" if str(error).startswith("zone ") else "reset"
    raise RefusedError(kind)


def as_reset(value: object) -> object:
    """Take a time and a zone for the mapping that they stand for."""
    if isinstance(value, str):
        at, zone = _reset_time(value)
        return {"at": at, "zone": zone}
    if not isinstance(value, dict):
        raise RefusedError("reset_or_mapping")
    return cast("object", value)


def as_concurrency(value: object) -> object:
    """Take a number of attempts, or ``adaptive``, for the mapping that it stands for."""
    if value == "adaptive":
        return {}
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return {"initial": value, "min": value, "max": value}
    if not isinstance(value, dict):
        raise RefusedError("concurrency")
    return cast("object", value)


def _time_of_day(value: str) -> str:
    try:
        return CalendarReset("day", value).at
    except ValueError:
        raise RefusedError("time_of_day") from None


def _zone(value: str) -> str:
    try:
        return CalendarReset("day", zone=value).zone
    except ValueError:
        raise RefusedError("zone") from None


def _cron(value: str) -> str:
    try:
        return CronSpans(value, duration_s=1.0).cron
    except ValueError as error:
        refused = RefusedError("unusable", why=str(error).removeprefix(f"cron {value!r} "))
    except ImportError as error:
        refused = RefusedError("said", why=str(error))
    raise refused


def _error_rate(value: object) -> object:
    if value == "off":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RefusedError("error_rate")
    return value


def _empty_if_nothing(value: object) -> object:
    return {} if value is None else value


def _as_list(value: object) -> object:
    """One value stands for a list of one."""
    return cast("object", value) if isinstance(value, list) else [value]


def _of_different_windows(rates: tuple[Rate, ...]) -> tuple[Rate, ...]:
    if len({(rate.window_s, rate.every) for rate in rates}) < len(rates):
        raise RefusedError("rate_twice")
    return rates


OrEmpty = BeforeValidator(_empty_if_nothing)
Names = Annotated[tuple[str, ...], Field(strict=False)]
OneOrMore = Annotated[tuple[Item, ...], Field(strict=False), BeforeValidator(_as_list)]

Seconds = Annotated[float, BeforeValidator(_seconds)]
PositiveSeconds = Annotated[Seconds, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ErrorRate = Annotated[float | None, Field(gt=0, le=1), BeforeValidator(_error_rate)]

Features = Annotated[
    tuple[Annotated[Feature, PlainValidator(partial(_member, Feature))], ...], Field(strict=False)
]
Reasons = Annotated[
    tuple[Annotated[Reason, PlainValidator(partial(_member, Reason))], ...], Field(strict=False)
]
DegradeChoices = OneOrMore[Annotated[Degrade, PlainValidator(partial(_member, Degrade))]]
BackoffChoice = Annotated[Backoff, PlainValidator(partial(_member, Backoff))]
HealthChoice = Annotated[Health, PlainValidator(partial(_member, Health))]
ScopeChoice = Annotated[RepeatScope, PlainValidator(partial(_member, RepeatScope))]
InterruptionChoices = OneOrMore[
    Annotated[Interruption, PlainValidator(partial(_member, Interruption))]
]
ProfileChoice = Annotated[str, PlainValidator(_profile)]
HedgeDelay = Annotated[tuple[str, float], PlainValidator(_hedge_delay)]
EveryChoice = Annotated[Every, PlainValidator(_every)]

SecretText = Annotated[Secret, PlainValidator(_secret)]
StateUrl = Annotated[Secret, PlainValidator(_state_url)]
Namespace = Annotated[str, AfterValidator(_namespace)]
Url = Annotated[str, AfterValidator(_url)]
Midnight = Annotated[float, PlainValidator(_midnight)]
ResetTime = Annotated[tuple[str, str], PlainValidator(_reset_time)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
Zone = Annotated[str, AfterValidator(_zone)]
Cron = Annotated[str, AfterValidator(_cron)]

_Rates = Annotated[OneOrMore[Item], AfterValidator(_of_different_windows)]
RollingAmount = _Rates[Annotated[Rate, PlainValidator(partial(rolling_rate, kind="whole"))]]
RollingMoney = _Rates[Annotated[Rate, PlainValidator(partial(rolling_rate, kind="usd"))]]
CalendarAmount = _Rates[Annotated[Rate, PlainValidator(partial(calendar_rate, kind="whole"))]]
CalendarMoney = _Rates[Annotated[Rate, PlainValidator(partial(calendar_rate, kind="usd"))]]
