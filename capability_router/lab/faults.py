"""What can go wrong at a provider, as plain values.

A :class:`Fault` says how one request is met; the functions of
:mod:`~capability_router.lab.constructors` build them. Knows no socket and no provider.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Literal, ParamSpec

from capability_router.lab.checks import unknown

__all__ = [
    "Fault",
    "FaultKind",
    "Framing",
    "constructor",
]

Framing = Literal["chunked", "close"]

_Parameters = ParamSpec("_Parameters")
_CONSTRUCTORS: dict[str, Callable[..., Fault]] = {}


class FaultKind(Enum):
    """Every way a provider can meet a request; the value is the name used over HTTP."""

    OK = "ok"
    LATENCY = "latency"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    UNAUTHORIZED = "unauthorized"
    CONTEXT_OVERFLOW = "context_overflow"
    POLICY_VIOLATION = "policy_violation"
    BAD_REQUEST = "bad_request"
    NOT_FOUND = "not_found"
    QUOTA_EXHAUSTED = "quota_exhausted"
    PAYMENT_REQUIRED = "payment_required"
    HANG = "hang"
    RESET = "reset"
    REFUSED = "refused"
    CUT_STREAM = "cut_stream"
    SILENT_STREAM = "silent_stream"
    MALFORMED_CHUNK = "malformed_chunk"
    HTML = "html"
    LATE_FIRST_TOKEN = "late_first_token"
    PINGS = "pings"
    NO_DONE = "no_done"
    NO_USAGE = "no_usage"
    DUPLICATE_FINISH = "duplicate_finish"
    EMPTY_ANSWER = "empty_answer"
    FILTERED = "filtered"
    OVERSIZED = "oversized"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request is met; build it with a constructor, which checks the values.

    Attributes:
        kind: What happens.
        seconds: Length of the delay or the silence; None ends it only once the provider is healed.
        seconds_per_chunk: Delay before every content chunk of a stream.
        every: Seconds from one sign of life to the next.
        status: HTTP status of the answer, 0 where the kind alone decides it.
        code: OpenAI error code, empty where the kind alone decides it.
        retry_after: ``Retry-After`` header: seconds, or text sent as it is; None sends none.
        retry_after_ms: ``retry-after-ms`` header in milliseconds; None sends none.
        after: Content chunks that are sent before a stream breaks.
        framing: How the body of a cut answer is delimited.
        extra: Whether what is broken comes in addition to the whole answer.
        location: ``Location`` header of a redirect, empty for the address that was asked.
        size_bytes: Least size of the body.
    """

    kind: FaultKind
    seconds: float | None = 0.0
    seconds_per_chunk: float = 0.0
    every: float = 0.0
    status: int = 0
    code: str = ""
    retry_after: float | str | None = None
    retry_after_ms: int | None = None
    after: int = 0
    framing: Framing = "chunked"
    extra: bool = False
    location: str = ""
    size_bytes: int = 0

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object]) -> Fault:
        """Build a fault from JSON such as ``{"kind": "rate_limited", "retry_after": 2}``.

        Args:
            mapping: ``kind`` and the parameters of the function of that name.

        Returns:
            The same fault the function would have built.

        Raises:
            ValueError: If the kind or a parameter is unknown, missing or out of range; the message
                names the value, what is allowed and the nearest spelling.
        """
        kind = mapping.get("kind")
        build = _CONSTRUCTORS.get(kind) if isinstance(kind, str) else None
        if build is None:
            raise ValueError(unknown("fault kind", kind, _CONSTRUCTORS))
        given = {key: value for key, value in mapping.items() if key != "kind"}
        parameters = inspect.signature(build).parameters
        for key in given:
            if key not in parameters:
                raise ValueError(unknown(f"parameter of {kind}", key, parameters))
        for key, parameter in parameters.items():
            if parameter.default is inspect.Parameter.empty and key not in given:
                raise ValueError(f"{kind} needs {key!r}, as in {{'kind': {kind!r}, {key!r}: 1}}")
        return build(**given)

    def as_mapping(self) -> dict[str, object]:
        """Give back what :meth:`from_mapping` reads: the kind and what differs from the default."""
        shown: dict[str, object] = {"kind": self.kind.value}
        allowed = inspect.signature(_CONSTRUCTORS[self.kind.value]).parameters
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in allowed and value != allowed[field.name].default:
                shown[field.name] = value
        return shown

    def __str__(self) -> str:
        """Show the call that builds the fault, as in ``latency(seconds=0.5)``."""
        shown = self.as_mapping()
        kind = shown.pop("kind")
        return f"{kind}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"


def constructor(build: Callable[_Parameters, Fault]) -> Callable[_Parameters, Fault]:
    """Let :meth:`Fault.from_mapping` build the kind that a function is named after with it."""
    _CONSTRUCTORS[build.__name__] = build
    return build
