"""What can go wrong at a provider, as plain values.

A :class:`Fault` says how one request is met; the functions below build them and read well in a
test: ``lab["alpha"].script(rate_limited(2), ok())``. This module knows no socket and no provider.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Literal, get_args

from capability_router.lab.checks import checked_amount, checked_count, checked_header, unknown

__all__ = [
    "Fault",
    "FaultKind",
    "Framing",
    "PolicyCode",
    "bad_request",
    "context_overflow",
    "cut_stream",
    "hang",
    "html",
    "latency",
    "malformed_chunk",
    "not_found",
    "ok",
    "overloaded",
    "payment_required",
    "policy_violation",
    "quota_exhausted",
    "rate_limited",
    "refused",
    "reset",
    "server_error",
    "silent_stream",
    "unauthorized",
]

Framing = Literal["chunked", "close"]
PolicyCode = Literal["content_policy_violation", "content_filter"]


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


@dataclass(frozen=True, slots=True)
class Fault:
    """How one request is met; build it with the functions of this module, which check the values.

    Attributes:
        kind: What happens.
        seconds: Delay before the answer begins.
        seconds_per_chunk: Delay before every content chunk of a stream.
        status: HTTP status of the error, 0 where the kind alone decides it.
        code: OpenAI error code, empty where the kind alone decides it.
        retry_after: ``Retry-After`` header: seconds, or text sent as it is; None sends none.
        retry_after_ms: ``retry-after-ms`` header in milliseconds; None sends none.
        after: Content chunks that are sent before a stream breaks.
        framing: How the body of a cut stream is delimited.
    """

    kind: FaultKind
    seconds: float = 0.0
    seconds_per_chunk: float = 0.0
    status: int = 0
    code: str = ""
    retry_after: float | str | None = None
    retry_after_ms: int | None = None
    after: int = 0
    framing: Framing = "chunked"

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


def ok(seconds_per_chunk: float = 0.0) -> Fault:
    """Answer well, a stream at the given pace.

    Args:
        seconds_per_chunk: Delay before every content chunk of a stream, >= 0.
    """
    return Fault(
        FaultKind.OK, seconds_per_chunk=checked_amount("seconds_per_chunk", seconds_per_chunk)
    )


def latency(seconds: float, seconds_per_chunk: float = 0.0) -> Fault:
    """Answer well, but late.

    Args:
        seconds: Delay before the status line, >= 0.
        seconds_per_chunk: Delay before every content chunk of a stream, >= 0.
    """
    return Fault(
        FaultKind.LATENCY,
        seconds=checked_amount("seconds", seconds),
        seconds_per_chunk=checked_amount("seconds_per_chunk", seconds_per_chunk),
    )


def rate_limited(
    retry_after: float | str | None = None, retry_after_ms: int | None = None
) -> Fault:
    """Answer 429 ``rate_limit_exceeded``.

    Args:
        retry_after: ``Retry-After`` in seconds, >= 0, or text sent as it is, such as an HTTP date.
        retry_after_ms: ``retry-after-ms`` in milliseconds, >= 0.
    """
    if isinstance(retry_after, str):
        checked_header("retry_after", retry_after)
    elif retry_after is not None:
        checked_amount("retry_after", retry_after)
    if retry_after_ms is not None:
        checked_count("retry_after_ms", retry_after_ms)
    return Fault(
        FaultKind.RATE_LIMITED,
        status=429,
        code="rate_limit_exceeded",
        retry_after=retry_after,
        retry_after_ms=retry_after_ms,
    )


def server_error(status: int = 500) -> Fault:
    """Answer a 5xx with OpenAI's ``server_error``.

    Args:
        status: 500 to 599.
    """
    return Fault(FaultKind.SERVER_ERROR, status=checked_count("status", status, 500, 599))


def overloaded(status: int = 503) -> Fault:
    """Answer that the provider has no capacity left.

    Args:
        status: 500 to 599; some vendors use 529.
    """
    return Fault(FaultKind.OVERLOADED, status=checked_count("status", status, 500, 599))


def unauthorized() -> Fault:
    """Answer 401 ``invalid_api_key``."""
    return Fault(FaultKind.UNAUTHORIZED, status=401, code="invalid_api_key")


def context_overflow() -> Fault:
    """Answer 400 ``context_length_exceeded``, whatever the length of the prompt."""
    return Fault(FaultKind.CONTEXT_OVERFLOW, status=400, code="context_length_exceeded")


def policy_violation(code: PolicyCode = "content_policy_violation") -> Fault:
    """Answer 400 because of what the prompt says.

    Args:
        code: OpenAI's ``content_policy_violation`` or Azure's ``content_filter``.
    """
    if code not in get_args(PolicyCode):
        raise ValueError(unknown("code", code, get_args(PolicyCode)))
    return Fault(FaultKind.POLICY_VIOLATION, status=400, code=code)


def bad_request() -> Fault:
    """Answer 400 ``invalid_request_error`` without a code."""
    return Fault(FaultKind.BAD_REQUEST, status=400)


def not_found() -> Fault:
    """Answer 404 ``model_not_found``."""
    return Fault(FaultKind.NOT_FOUND, status=404, code="model_not_found")


def quota_exhausted() -> Fault:
    """Answer 429 ``insufficient_quota``: waiting a moment does not help."""
    return Fault(FaultKind.QUOTA_EXHAUSTED, status=429, code="insufficient_quota")


def payment_required() -> Fault:
    """Answer 402, as prepaid providers do when the balance is used up."""
    return Fault(FaultKind.PAYMENT_REQUIRED, status=402, code="invalid_request_error")


def hang() -> Fault:
    """Read the request and answer only once the provider is healed."""
    return Fault(FaultKind.HANG)


def reset() -> Fault:
    """Reset the TCP connection before the first byte of an answer."""
    return Fault(FaultKind.RESET)


def refused() -> Fault:
    """Listen no more; a standing fault only, the same as stopping the provider."""
    return Fault(FaultKind.REFUSED)


def cut_stream(after: int = 1, framing: Framing = "chunked") -> Fault:
    """End a stream without a finish reason, or a plain body short of its Content-Length.

    Args:
        after: Content chunks sent before the cut, >= 0; a shorter answer is cut before its end.
        framing: ``chunked`` closes without the last chunk, which HTTP clients can notice; ``close``
            delimits the body by closing, which looks like a regular end to them.
    """
    if framing not in get_args(Framing):
        raise ValueError(unknown("framing", framing, get_args(Framing)))
    return Fault(FaultKind.CUT_STREAM, after=checked_count("after", after), framing=framing)


def silent_stream(after: int = 1) -> Fault:
    """Fall silent within a stream, the connection open, until the provider is healed.

    Args:
        after: Content chunks sent before the silence, >= 0.
    """
    return Fault(FaultKind.SILENT_STREAM, after=checked_count("after", after))


def malformed_chunk(after: int = 1) -> Fault:
    """Send one data line that is no JSON in place of a chunk; a plain body is no JSON either.

    Args:
        after: Content chunks sent before the broken one, >= 0.
    """
    return Fault(FaultKind.MALFORMED_CHUNK, after=checked_count("after", after))


def html() -> Fault:
    """Answer 200 with a web page, as a captive portal or a misrouted proxy does."""
    return Fault(FaultKind.HTML)


_CONSTRUCTORS: Mapping[str, Callable[..., Fault]] = {
    FaultKind.OK.value: ok,
    FaultKind.LATENCY.value: latency,
    FaultKind.RATE_LIMITED.value: rate_limited,
    FaultKind.SERVER_ERROR.value: server_error,
    FaultKind.OVERLOADED.value: overloaded,
    FaultKind.UNAUTHORIZED.value: unauthorized,
    FaultKind.CONTEXT_OVERFLOW.value: context_overflow,
    FaultKind.POLICY_VIOLATION.value: policy_violation,
    FaultKind.BAD_REQUEST.value: bad_request,
    FaultKind.NOT_FOUND.value: not_found,
    FaultKind.QUOTA_EXHAUSTED.value: quota_exhausted,
    FaultKind.PAYMENT_REQUIRED.value: payment_required,
    FaultKind.HANG.value: hang,
    FaultKind.RESET.value: reset,
    FaultKind.REFUSED.value: refused,
    FaultKind.CUT_STREAM.value: cut_stream,
    FaultKind.SILENT_STREAM.value: silent_stream,
    FaultKind.MALFORMED_CHUNK.value: malformed_chunk,
    FaultKind.HTML.value: html,
}
