"""A world and its requests from a YAML file.

The keys are the names of ``Workload``, ``SimulatedProvider`` and what belongs to them, so that
there is one place that tells what each means; ``limits`` and ``quota`` are those of a
configuration.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from capability_router.config.build import limits_of
from capability_router.config.document import Document, KeyPath, shown_key
from capability_router.config.reading import content, read
from capability_router.config.references import References
from capability_router.config.refusal import RefusedError
from capability_router.config.schema import LimitsConfig, QuotaConfig
from capability_router.config.wording import refuse
from capability_router.engine.errors import ConfigurationError, Problem, nearest
from capability_router.engine.outcome import FailureKind
from capability_router.simulation.outages import (
    PUBLISHED_99_58,
    PUBLISHED_99_72,
    Outage,
    Outages,
)
from capability_router.simulation.percentiles import Percentiles
from capability_router.simulation.providers import SimulatedProvider
from capability_router.simulation.workload import Bursts, Poisson, Recorded, Workload

__all__ = ["PUBLISHED", "Scenario", "load_scenario"]

PUBLISHED: Mapping[str, Outages] = {
    "published-99.58": PUBLISHED_99_58,
    "published-99.72": PUBLISHED_99_72,
}
"""Outages that a file may name."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a file says.

    Attributes:
        workload: What is asked for, and when.
        providers: How providers and models behave.
    """

    workload: Workload
    providers: Mapping[str, SimulatedProvider]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    def given(self, *but: str) -> dict[str, Any]:
        """Return what the file says, but for some keys."""
        return {name: getattr(self, name) for name in self.model_fields_set.difference(but)}


class _Percentiles(_Section):
    p50: float
    p90: float | None = None
    p99: float | None = None


def _form(value: object) -> str:
    return "mapping" if isinstance(value, dict | _Percentiles) else "number"


_Amount = Annotated[
    Annotated[_Percentiles, Tag("mapping")] | Annotated[float, Tag("number")],
    Discriminator(_form),
]
_Tokens = Annotated[
    Annotated[_Percentiles, Tag("mapping")] | Annotated[int, Tag("number")],
    Discriminator(_form),
]


class _Poisson(_Section):
    per_s: float


class _Bursts(_Section):
    quiet_per_s: float
    burst_per_s: float
    quiet_s: float = 300.0
    burst_s: float = 30.0


class _Recorded(_Section):
    at_s: list[float]


def _kind_of_arrivals(value: object) -> str:
    if isinstance(value, dict):
        keys = set(cast("dict[str, object]", value))
        if "at_s" in keys:
            return "recorded"
        if keys & {"quiet_per_s", "burst_per_s"}:
            return "bursts"
    return "poisson"


class _Workload(_Section):
    capability: str | list[str]
    requests: int = 10_000
    arrivals_at: Annotated[
        Annotated[_Poisson, Tag("poisson")]
        | Annotated[_Bursts, Tag("bursts")]
        | Annotated[_Recorded, Tag("recorded")],
        Discriminator(_kind_of_arrivals),
    ] = Field(default_factory=lambda: _Poisson(per_s=1.0))
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None
    streamed: bool = False


class _Outage(_Section):
    start_s: float
    end_s: float | None = None
    kind: FailureKind = FailureKind.SERVER_ERROR
    status: int | None = None
    share: float = 1.0
    slowdown: float = 1.0
    retry_after_s: float | None = None


class _Outages(_Section):
    availability: float
    duration_s: _Amount
    kind: FailureKind = FailureKind.SERVER_ERROR
    share: float = 1.0
    slowdown: float = 1.0
    cause: str = ""


def _kind_of_outage(value: object) -> str:
    if isinstance(value, dict):
        return "one" if "start_s" in value else "many"
    return "name"


_AnyOutage = Annotated[
    Annotated[_Outage, Tag("one")] | Annotated[_Outages, Tag("many")] | Annotated[str, Tag("name")],
    Discriminator(_kind_of_outage),
]


class _Provider(_Section):
    first_token_s: _Amount | None = None
    tokens_per_s: _Amount | None = None
    error_s: _Amount | None = None
    failure_rate: float | None = None
    failure: FailureKind | None = None
    cut_rate: float | None = None
    outages: list[_AnyOutage] = Field(default_factory=list[Any])
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    quota: QuotaConfig = Field(default_factory=QuotaConfig)


class _Scenario(_Section):
    workload: _Workload
    providers: dict[str, _Provider] = Field(default_factory=dict[str, _Provider])


def load_scenario(path: str | os.PathLike[str]) -> Scenario:
    """Read a world and its requests from a YAML file.

    Args:
        path: The file, in UTF-8.

    Raises:
        ConfigurationError: If anything in it is wrong; it names each place, what was found and
            what is allowed.
    """
    name = os.fspath(path)
    text = content(name)
    if isinstance(text, Problem):
        raise ConfigurationError([text])
    document = read(text, name, References(os.environ, Path(name).parent, {}))
    try:
        said = _Scenario.model_validate(document.root)
    except ValidationError as error:
        _refuse(document, error)
        raise AssertionError("a scenario that was refused left no problem to tell") from None
    return _built(document, said)


def _built(document: Document, said: _Scenario) -> Scenario:
    """Turn sections into values; what is out of range shows now."""
    workload = None
    providers: dict[str, SimulatedProvider] = {}
    try:
        workload = _workload(said.workload)
    except ValueError as error:
        document.blame(("workload",), str(error))
    for name, section in said.providers.items():
        try:
            providers[name] = _provider(section)
        except ValueError as error:
            document.blame(("providers", name), str(error))
    document.findings.stop_if_any()
    if workload is None:
        raise AssertionError("a workload that was refused left no problem to tell")
    return Scenario(workload, providers)


def _workload(section: _Workload) -> Workload:
    arrivals = section.arrivals_at
    makers = {_Poisson: Poisson, _Bursts: Bursts, _Recorded: Recorded}
    given = section.given("arrivals_at", "input_tokens", "output_tokens")
    given["arrivals_at"] = makers[type(arrivals)](**arrivals.model_dump())
    for name in ("input_tokens", "output_tokens"):
        if (amount := getattr(section, name)) is not None:
            given[name] = _amount(amount)
    return Workload(**given)


def _provider(section: _Provider) -> SimulatedProvider:
    given = section.given("outages", "limits", "quota")
    for name in ("first_token_s", "tokens_per_s", "error_s"):
        if name in given:
            given[name] = _amount(given[name])
    return SimulatedProvider(
        **given,
        outages=tuple(map(_outage, section.outages)),
        limits=limits_of(section.limits, section.quota),
    )


def _outage(section: _Outage | _Outages | str) -> Outage | Outages:
    if isinstance(section, str):
        if section not in PUBLISHED:
            raise ValueError(f"outages {section!r} are not known; there are {', '.join(PUBLISHED)}")
        return PUBLISHED[section]
    if isinstance(section, _Outage):
        return Outage(**section.given())
    duration = _amount(section.duration_s)
    fixed = duration if isinstance(duration, Percentiles) else Percentiles(duration)
    return Outages(**section.given("duration_s"), duration_s=fixed)


def _amount(amount: Any) -> Any:
    return Percentiles(**amount.model_dump()) if isinstance(amount, _Percentiles) else amount


def _refuse(document: Document, error: ValidationError) -> None:
    """Tell what pydantic found, by the places in the file."""
    for details in error.errors(include_url=False, include_input=False):
        path = _as_written(document, details["loc"])
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, RefusedError):
            refuse(document, path, cause.kind, {"allowed": cause.allowed, "why": cause.why})
        elif details["type"] == "extra_forbidden":
            document.blame_key(path, f"unknown key {shown_key(path)}", _near(path))
        elif details["type"] == "missing":
            document.blame_key(path, f"the key '{details['loc'][-1]}' is missing")
        else:
            why = details["msg"][0].lower() + details["msg"][1:]
            document.blame(path, f"{why}, found {document.found(path)}")
    document.findings.stop_if_any()


def _near(path: KeyPath) -> str | None:
    sections = (_Scenario, _Workload, _Provider, _Outage, _Outages, _Bursts, _Poisson, _Percentiles)
    known = [name for section in sections for name in section.model_fields]
    near = nearest(str(path[-1]), known, most=1)
    return near[0] if near else None


def _as_written(document: Document, path: KeyPath) -> KeyPath:
    """The path without the forms that a value may take, which pydantic puts into it."""
    written: KeyPath = ()
    for place, step in enumerate(path):
        here = document.at(written)
        is_key = isinstance(here, dict) and (step in here or place == len(path) - 1)
        if is_key or (isinstance(here, list) and isinstance(step, int)):
            written = (*written, step)
    return written
