"""What pydantic found, in plain sentences.

Takes the type of an error and its limits, never its input: values are shown as they were written,
so that one a reference stands for does not come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast
from zoneinfo import available_timezones

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from capability_router.config.document import Document, KeyPath, quoted, shown_key
from capability_router.config.rates import likely_rate
from capability_router.config.refusal import RefusedError
from capability_router.config.schema import RouterConfig, allowed_keys
from capability_router.engine.errors import nearest
from capability_router.storage.addresses import scheme_of

__all__ = ["is_of_type", "refuse", "validated"]

Limits = Mapping[str, object]

_STRICT = ConfigDict(strict=True, allow_inf_nan=False, hide_input_in_errors=True)

_EXPECTED = {
    "bool_type": "true or false",
    "concurrency": (
        "a whole number of at least 1, adaptive, or a mapping with initial, min, max and tolerance"
    ),
    "connector_type": (
        "the name of a connector, or a mapping with its name as the only key and its parameters"
    ),
    "date": "a date such as 2026-12-31",
    "dict_type": "a mapping (key: value)",
    "error_rate": "a number above 0 and at most 1, or off",
    "finite_number": "a finite number",
    "float_type": "a number",
    "hedge_delay": "a duration such as 800ms, or a percentile such as p95",
    "import_path": "the import path of a function, such as my_package.my_module:my_function",
    "int_type": "a whole number",
    "list_type": "a list",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "namespace": "at most 64 letters, digits, '.', '_' and '-'",
    "rate_whole": "a whole amount, because only US dollars have fractions",
    "reset": "a time, with a zone if it is not UTC, such as '00:00 America/Los_Angeles'",
    "reset_or_mapping": (
        "a time and a zone such as '00:00 America/Los_Angeles', or a mapping with every, at, zone"
        " and day"
    ),
    "secret_type": "${env:NAME} or ${file:PATH}",
    "state_or_mapping": (
        "an address such as sqlite:///state.db or redis://localhost, or a mapping with url and"
        " namespace"
    ),
    "state_url": "an address such as sqlite:///state.db or redis://localhost",
    "strategy_type": "the name of a strategy, or a mapping with its name and parameters",
    "string_type": "text",
    "time_of_day": "a time from 00:00 to 23:59, in quotes",
    "url": "a URL such as https://host/v1",
}

_NO_TEXT = {
    "bool_type",
    "concurrency",
    "dict_type",
    "error_rate",
    "float_type",
    "int_type",
    "model_type",
}

_SENTENCES = {
    "endless_maintenance": (
        "one window begins before the last has ended, again and again; write a shorter duration, or"
        " let them begin less often"
    ),
    "nothing": "no value is given; write one, or remove the key for its default",
    "rate_month": "a month is no rolling window; write this under quota, which has calendar months",
    "rate_rolling": (
        "a quota is renewed by the calendar, each minute, hour, day, week or month; write other"
        " windows under limits"
    ),
    "rate_small": "too little to count; the least is 1, and 0.000000001 of US dollars",
    "rate_twice": "two of these have the same window; keep one",
    "url_secret": (
        "a URL must not carry a user, a password, a query or a fragment, for it is shown in logs;"
        " give the key as api_key: ${env:NAME}"
    ),
    "url_path": "the URL is the root of the API; leave out '/chat/completions'",
}

_RANGES: Mapping[str, tuple[str, str]] = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}


def validated(document: Document) -> RouterConfig | None:
    """Check keys, types and ranges of a document.

    Returns:
        The configuration; None if something is wrong with it, which is then in the findings.
    """
    try:
        return RouterConfig.model_validate(document.root)
    except ValidationError as error:
        errors = _without_values(error)
    _refuse_all(document, (), errors)
    return None


def is_of_type(document: Document, path: KeyPath, wanted: Any) -> bool:
    """Check the type of the value at a path; if it is another, that is in the findings."""
    try:
        TypeAdapter[Any](wanted, config=_STRICT).validate_python(document.at(path))
    except ValidationError as error:
        errors = _without_values(error)
    else:
        return True
    _refuse_all(document, path, errors)
    return False


def refuse(document: Document, path: KeyPath, kind: str, limits: Limits | None = None) -> None:
    """Note what is wrong with the value at a path, in the sentence for that kind of mistake.

    Args:
        document: The document.
        path: Where it stands.
        kind: Name of the sentence.
        limits: What the sentence needs to know.
    """
    say = _ABOUT.get(kind)
    if say is not None:
        say(document, path, limits or {})
    else:
        document.blame(path, _sentence(document, path, kind, limits or {}))


def _without_values(error: ValidationError) -> list[ErrorDetails]:
    """All that is kept of the exception: it holds the values, and nothing may chain to it."""
    return error.errors(include_url=False, include_input=False)


def _refuse_all(document: Document, below: KeyPath, errors: list[ErrorDetails]) -> None:
    for details in errors:
        path = _as_written(document, (*below, *details["loc"]))
        refuse(document, path, *_kind(details["type"], details.get("ctx", {})))


def _as_written(document: Document, path: KeyPath) -> KeyPath:
    """The path without a position, where one value stands for a list of one."""
    written: KeyPath = ()
    for step in path:
        if not isinstance(step, int) or isinstance(document.at(written), list):
            written = (*written, step)
    return written


def _kind(kind: str, limits: Limits) -> tuple[str, Limits]:
    error = limits.get("error")
    if isinstance(error, RefusedError):
        return error.kind, {"allowed": error.allowed, "why": error.why}
    return kind, limits


def _sentence(document: Document, path: KeyPath, kind: str, limits: Limits) -> str:
    found = document.found(path)
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in _EXPECTED:
        is_text = path in document.references and kind in _NO_TEXT
        note = "; what a reference stands for is text" if is_text else ""
        return f"expected {_EXPECTED[kind]}, found {found}{note}"
    if kind in _RANGES:
        relation, limit = _RANGES[kind]
        unit = "" if isinstance(document.at(path), (int, float)) else " s"
        return f"must be {relation} {limits[limit]:.15g}{unit}, found {found}"
    return f"found {found}, which cannot be used here ({kind})"


def _unknown_key(document: Document, path: KeyPath, _: Limits) -> None:
    allowed = allowed_keys(path[:-1])
    near = nearest(str(path[-1]), allowed, most=1)
    message = f"unknown key {shown_key(path)}; allowed: {', '.join(allowed)}"
    document.blame_key(path, message, near[0] if near else None)


def _missing_key(document: Document, path: KeyPath, _: Limits) -> None:
    document.blame_key(path, f"the key {quoted(str(path[-1]))} is missing")


def _choice(document: Document, path: KeyPath, limits: Limits) -> None:
    value, allowed = document.at(path), limits["allowed"]
    names = cast("list[str]", allowed)
    near = nearest(value, names, most=1) if isinstance(value, str) else []
    message = f"expected one of {', '.join(names)}, found {document.found(path)}"
    document.blame(path, message, near[0] if near else None)


def _duration(document: Document, path: KeyPath, _: Limits) -> None:
    value = document.at(path)
    message = f"expected a duration such as 250ms, 60s, 5m or 1h30m, found {document.found(path)}"
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    document.blame(path, f"{message}; write {value}s" if number else message)


def _list(document: Document, path: KeyPath, _: Limits) -> None:
    message = f"expected a list of names, found {document.found(path)}"
    written = document.written(path) if isinstance(document.at(path), str) else ""
    document.blame(path, f"{message}; write [{written}]" if written.isidentifier() else message)


def _empty_list(document: Document, path: KeyPath, _: Limits) -> None:
    document.blame(path, "expected at least one name, found an empty list")


def _rate(document: Document, path: KeyPath, limits: Limits) -> None:
    windows = cast("list[str]", limits["allowed"])
    message = f"expected AMOUNT/WINDOW such as 30/minute, found {document.found(path)}"
    known = f"the amount is plain digits, the window one of {', '.join(windows)}{limits['why']}"
    document.blame(path, f"{message}; {known}", likely_rate(document.at(path), windows))


def _zone(document: Document, path: KeyPath, _: Limits) -> None:
    name = str(document.at(path)).rpartition(" ")[2]
    near = nearest(name, sorted(available_timezones()), most=1)
    message = "expected a time zone by its IANA name, such as America/Los_Angeles, found"
    remedy = "on Windows they come with: pip install 'capability-router[schedules]'"
    document.blame(path, f"{message} {document.found(path)}; {remedy}", near[0] if near else None)


def _scheme(document: Document, path: KeyPath, limits: Limits) -> None:
    known = cast("list[str]", limits["allowed"])
    # The rest of it may be a password.
    scheme = scheme_of(str(document.at(path)))
    shown = "this scheme" if path in document.references else f"the scheme {quoted(scheme)}"
    near = nearest(scheme, known, most=1)
    message = f"{shown} is none of {', '.join(known)}"
    document.blame(path, message, near[0] if near else None)


def _secret(document: Document, path: KeyPath, _: Limits) -> None:
    held = (
        f"what {document.written(path)} stands for has a blank, a line break or another character"
    )
    document.blame(path, f"{held} that no API key has; check how it was set")


_ABOUT: Mapping[str, Callable[[Document, KeyPath, Limits], None]] = {
    "choice": _choice,
    "duration_type": _duration,
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "said": lambda document, path, limits: document.blame(path, str(limits["why"])),
    "rate": _rate,
    "secret_characters": _secret,
    "state_scheme": _scheme,
    "string_too_short": lambda document, path, _: document.blame(path, "the text is empty"),
    "too_short": _empty_list,
    "tuple_type": _list,
    "unusable": lambda document, path, limits: document.blame(
        path, f"{document.found(path)} {limits['why']}"
    ),
    "zone": _zone,
}
