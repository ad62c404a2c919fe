"""What pydantic found, in plain sentences.

Takes the type of an error and its limits, never its input: values are shown as they were written,
so that one from the environment does not come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from pydantic import ValidationError

from capability_router.config.document import Document, KeyPath, quoted, shown_key
from capability_router.config.schema import RefusedError, RouterConfig, allowed_keys
from capability_router.engine.errors import nearest

__all__ = ["validated"]

Limits = Mapping[str, object]

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping (key: value)",
    "finite_number": "a finite number",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_type": "a mapping (key: value)",
    "secret_type": "${env:NAME}",
    "string_type": "text",
    "url": "a URL such as https://host/v1",
}

_SENTENCES = {
    "nothing": "no value is given; write one, or remove the key for its default",
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
        # Only the list is kept: the exception holds the values, and nothing may chain to it.
        errors = error.errors(include_url=False, include_input=False)
    for details in errors:
        _blame(document, details["loc"], details["type"], details.get("ctx", {}))
    return None


def _blame(document: Document, path: KeyPath, kind: str, limits: Limits) -> None:
    error = limits.get("error")
    if isinstance(error, RefusedError):
        kind, limits = error.kind, {"allowed": error.allowed}
    say = _ABOUT.get(kind)
    if say is not None:
        say(document, path, limits)
    else:
        document.blame(path, _sentence(document, path, kind, limits))


def _sentence(document: Document, path: KeyPath, kind: str, limits: Limits) -> str:
    found = document.found(path)
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind in _EXPECTED:
        note = "; what comes from the environment is text" if path in document.references else ""
        return f"expected {_EXPECTED[kind]}, found {found}{note}"
    if kind in _RANGES:
        relation, limit = _RANGES[kind]
        unit = "" if isinstance(document.at(path), (int, float)) else " s"
        return f"must be {relation} {limits[limit]}{unit}, found {found}"
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


def _secret(document: Document, path: KeyPath, _: Limits) -> None:
    held = (
        f"what {document.written(path)} stands for has a blank, a line break or another character"
    )
    document.blame(path, f"{held} that no API key has; check how the variable was set")


_ABOUT: Mapping[str, Callable[[Document, KeyPath, Limits], None]] = {
    "choice": _choice,
    "duration_type": _duration,
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "secret_characters": _secret,
    "string_too_short": lambda document, path, _: document.blame(path, "the text is empty"),
    "too_short": _empty_list,
    "tuple_type": _list,
}
