"""The functions that build faults; they check the values and read well in a test.

``lab["alpha"].script(rate_limited(2), ok())`` meets the next request with a 429 and the one after
it well. Knows no socket and no provider.
"""

from __future__ import annotations

from typing import Literal, get_args

from capability_router.lab.checks import (
    checked_amount,
    checked_count,
    checked_flag,
    checked_header,
    unknown,
)
from capability_router.lab.faults import Fault, FaultKind, Framing, constructor

__all__ = [
    "PolicyCode",
    "bad_request",
    "context_overflow",
    "cut_stream",
    "duplicate_finish",
    "empty_answer",
    "filtered",
    "hang",
    "html",
    "late_first_token",
    "latency",
    "malformed_chunk",
    "no_done",
    "no_usage",
    "not_found",
    "ok",
    "overloaded",
    "oversized",
    "payment_required",
    "pings",
    "policy_violation",
    "quota_exhausted",
    "rate_limited",
    "redirect",
    "refused",
    "reset",
    "server_error",
    "silent_stream",
    "unauthorized",
]

PolicyCode = Literal["content_policy_violation", "content_filter"]

_REDIRECTS = (301, 302, 303, 307, 308)


@constructor
def ok(seconds_per_chunk: float = 0.0) -> Fault:
    """Answer well, a stream at the given pace.

    Args:
        seconds_per_chunk: Delay before every content chunk of a stream, >= 0.
    """
    return Fault(
        FaultKind.OK, seconds_per_chunk=checked_amount("seconds_per_chunk", seconds_per_chunk)
    )


@constructor
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


@constructor
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


@constructor
def server_error(status: int = 500) -> Fault:
    """Answer a 5xx with OpenAI's ``server_error``.

    Args:
        status: 500 to 599.
    """
    return Fault(FaultKind.SERVER_ERROR, status=checked_count("status", status, 500, 599))


@constructor
def overloaded(status: int = 503) -> Fault:
    """Answer that the provider has no capacity left.

    Args:
        status: 500 to 599; some vendors use 529.
    """
    return Fault(FaultKind.OVERLOADED, status=checked_count("status", status, 500, 599))


@constructor
def unauthorized() -> Fault:
    """Answer 401 ``invalid_api_key``."""
    return Fault(FaultKind.UNAUTHORIZED, status=401, code="invalid_api_key")


@constructor
def context_overflow() -> Fault:
    """Answer 400 ``context_length_exceeded``, whatever the length of the prompt."""
    return Fault(FaultKind.CONTEXT_OVERFLOW, status=400, code="context_length_exceeded")


@constructor
def policy_violation(code: PolicyCode = "content_policy_violation") -> Fault:
    """Answer 400 because of what the prompt says.

    Args:
        code: OpenAI's ``content_policy_violation`` or Azure's ``content_filter``.
    """
    if code not in get_args(PolicyCode):
        raise ValueError(unknown("code", code, get_args(PolicyCode)))
    return Fault(FaultKind.POLICY_VIOLATION, status=400, code=code)


@constructor
def bad_request() -> Fault:
    """Answer 400 ``invalid_request_error`` without a code."""
    return Fault(FaultKind.BAD_REQUEST, status=400)


@constructor
def not_found() -> Fault:
    """Answer 404 ``model_not_found``."""
    return Fault(FaultKind.NOT_FOUND, status=404, code="model_not_found")


@constructor
def quota_exhausted() -> Fault:
    """Answer 429 ``insufficient_quota``: waiting a moment does not help."""
    return Fault(FaultKind.QUOTA_EXHAUSTED, status=429, code="insufficient_quota")


@constructor
def payment_required() -> Fault:
    """Answer 402, as prepaid providers do when the balance is used up."""
    return Fault(FaultKind.PAYMENT_REQUIRED, status=402, code="invalid_request_error")


@constructor
def hang() -> Fault:
    """Read the request and answer only once the provider is healed."""
    return Fault(FaultKind.HANG, seconds=None)


@constructor
def reset() -> Fault:
    """Reset the TCP connection before the first byte of an answer."""
    return Fault(FaultKind.RESET)


@constructor
def refused() -> Fault:
    """Listen no more; a standing fault only, the same as stopping the provider."""
    return Fault(FaultKind.REFUSED)


@constructor
def cut_stream(after: int = 1, framing: Framing = "chunked") -> Fault:
    """End a stream without a finish reason, or a whole body in its middle.

    Args:
        after: Content chunks sent before the cut, >= 0; a shorter answer is cut before its end.
        framing: ``chunked`` closes without the last chunk, and a whole body short of its
            Content-Length, which HTTP clients can notice; ``close`` delimits the body by closing,
            which looks like a regular end to them.
    """
    if framing not in get_args(Framing):
        raise ValueError(unknown("framing", framing, get_args(Framing)))
    return Fault(FaultKind.CUT_STREAM, after=checked_count("after", after), framing=framing)


@constructor
def silent_stream(after: int = 1, seconds: float | None = None) -> Fault:
    """Fall silent within an answer, the connection open, and then go on to its end.

    Args:
        after: Content chunks sent before the silence, >= 0; of a whole body it is always half.
        seconds: Length of the silence, >= 0; None lasts until the provider is healed.
    """
    if seconds is not None:
        checked_amount("seconds", seconds)
    return Fault(FaultKind.SILENT_STREAM, seconds=seconds, after=checked_count("after", after))


@constructor
def malformed_chunk(after: int = 1, extra: bool = False) -> Fault:
    """Send one data line that is no JSON; a whole body is no JSON either.

    Args:
        after: Content chunks sent before the broken one, >= 0.
        extra: Whether the line comes in addition, so that a client which skips it loses nothing;
            else it stands in place of a chunk. A whole body is followed by half of it, or is half.
    """
    return Fault(
        FaultKind.MALFORMED_CHUNK,
        after=checked_count("after", after),
        extra=checked_flag("extra", extra),
    )


@constructor
def html() -> Fault:
    """Answer 200 with a web page, as a captive portal or a misrouted proxy does."""
    return Fault(FaultKind.HTML)


@constructor
def late_first_token(seconds: float) -> Fault:
    """Answer well and begin at once, but say nothing for a while.

    The status line, the headers and what a stream has before its first text come at once.

    Args:
        seconds: Delay before the first content chunk of a stream or the body of a whole answer,
            >= 0.
    """
    return Fault(FaultKind.LATE_FIRST_TOKEN, seconds=checked_amount("seconds", seconds))


@constructor
def pings(seconds: float, every: float = 1.0) -> Fault:
    """Answer well but late, with signs of life meanwhile that keep a read timeout from firing.

    A stream has a comment line, ``: ping``, for each, and a whole answer a blank before its body.

    Args:
        seconds: Delay before the first content chunk or the body, >= 0.
        every: Seconds from one sign of life to the next, > 0.
    """
    if not checked_amount("every", every):
        raise ValueError("every must be above 0")
    return Fault(FaultKind.PINGS, seconds=checked_amount("seconds", seconds), every=every)


@constructor
def no_done() -> Fault:
    """End a stream, after its finish reason, without the mark that it is over.

    That is OpenAI's ``[DONE]`` and Anthropic's ``message_stop``; the Responses API has none, and
    neither has a whole answer.
    """
    return Fault(FaultKind.NO_DONE)


@constructor
def no_usage() -> Fault:
    """Leave the usage out of an answer, also where a stream was asked for it."""
    return Fault(FaultKind.NO_USAGE)


@constructor
def duplicate_finish() -> Fault:
    """Send the chunk with the finish reason of a stream twice; a whole answer is well."""
    return Fault(FaultKind.DUPLICATE_FINISH)


@constructor
def empty_answer() -> Fault:
    """Answer 200 with a complete message that has no text and no call, and say it ended well."""
    return Fault(FaultKind.EMPTY_ANSWER)


@constructor
def filtered(after: int = 0) -> Fault:
    """Answer 200 with what a content filter has left of the answer, and its finish reason.

    That is ``content_filter``; Anthropic says ``refusal``.

    Args:
        after: Pieces that the filter lets through, >= 0: words of an echo, tokens of a model, or
            whole tool calls.
    """
    return Fault(FaultKind.FILTERED, after=checked_count("after", after))


@constructor
def oversized(size_bytes: int) -> Fault:
    """Answer well, but with so much space after the text that the body is very large.

    It is made while it is sent, and no longer than the client reads it.

    Args:
        size_bytes: Least size of the body, >= 1.
    """
    return Fault(FaultKind.OVERSIZED, size_bytes=checked_count("size_bytes", size_bytes, 1))


@constructor
def redirect(status: int = 307, location: str = "") -> Fault:
    """Send the client elsewhere.

    Args:
        status: 301, 302, 303, 307 or 308.
        location: Address to go to; empty for the one that was asked, which is a loop for as long
            as the fault stands.
    """
    if status not in _REDIRECTS:
        allowed = ", ".join(map(str, _REDIRECTS))
        raise ValueError(f"status must be one of {allowed}, found {status!r}")
    return Fault(FaultKind.REDIRECT, status=status, location=checked_header("location", location))
