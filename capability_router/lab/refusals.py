"""Errors as providers send them: a status, headers and OpenAI's error object.

Knows the wording and codes of real error bodies; does not know when they are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from capability_router.lab.faults import Fault, FaultKind

__all__ = [
    "Refusal",
    "RefusedError",
    "invalid",
    "quota_refusal",
    "refusal_for",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error answer.

    Attributes:
        status: HTTP status, 400 to 599.
        message: Text for people.
        type: OpenAI's error type.
        code: OpenAI's error code, None where the real service sends none.
        param: The request field that is to blame, if one is.
        headers: Extra response headers.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def payload(self) -> dict[str, object]:
        """Shape the error as OpenAI does: all four keys, null where there is nothing to say."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


class RefusedError(Exception):
    """A request that gets an error answer instead of a reply.

    Attributes:
        refusal: What the client is told.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def invalid(message: str, param: str | None = None, code: str | None = None) -> RefusedError:
    """Make the 400 for a request that is wrong in itself."""
    return RefusedError(Refusal(400, message, code=code, param=param))


def refusal_for(fault: Fault, model: str) -> Refusal | None:
    """Give the error answer a fault stands for.

    Args:
        fault: The fault a request met.
        model: The requested model, named in the message where the real service does so.

    Returns:
        The answer, or None for faults that are no error answers.
    """
    wording = _WORDING.get(fault.kind)
    if wording is None:
        return None
    message, type_, param = wording
    return Refusal(
        status=fault.status,
        message=message.format(model=model),
        type=type_,
        code=fault.code or None,
        param=param,
        headers=_retry_headers(fault),
    )


def quota_refusal(remaining_s: float | None) -> Refusal:
    """Answer 429 because the provider's quota is used up.

    Args:
        remaining_s: Seconds until the quota is fresh; None where nobody knows.

    Returns:
        ``rate_limit_exceeded`` with ``Retry-After`` where the end is known, as free tiers send it,
        else ``insufficient_quota``.
    """
    if remaining_s is None:
        message, type_, _ = _WORDING[FaultKind.QUOTA_EXHAUSTED]
        return Refusal(429, message, type=type_, code="insufficient_quota")
    wait_s = max(1, ceil(remaining_s))
    return Refusal(
        429,
        f"Quota of requests is used up. Please try again in {wait_s}s.",
        type="requests",
        code="rate_limit_exceeded",
        headers={"retry-after": str(wait_s)},
    )


def _retry_headers(fault: Fault) -> dict[str, str]:
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        after = fault.retry_after
        headers["retry-after"] = after if isinstance(after, str) else f"{after:.15g}"
    if fault.retry_after_ms is not None:
        headers["retry-after-ms"] = str(fault.retry_after_ms)
    return headers


_WORDING: Mapping[FaultKind, tuple[str, str, str | None]] = {
    FaultKind.RATE_LIMITED: (
        "Rate limit reached for {model} on requests per min (RPM). Please try again later.",
        "requests",
        None,
    ),
    FaultKind.SERVER_ERROR: (
        "The server had an error while processing your request. Sorry about that!",
        "server_error",
        None,
    ),
    FaultKind.OVERLOADED: (
        "The engine is currently overloaded, please try again later.",
        "server_error",
        None,
    ),
    FaultKind.UNAUTHORIZED: (
        "Incorrect API key provided. Check the key of this provider.",
        "invalid_request_error",
        None,
    ),
    FaultKind.CONTEXT_OVERFLOW: (
        "This model's maximum context length is 2048 tokens. However, your messages have 4096.",
        "invalid_request_error",
        "messages",
    ),
    FaultKind.POLICY_VIOLATION: (
        "Your request was rejected as a result of our safety system.",
        "invalid_request_error",
        None,
    ),
    FaultKind.BAD_REQUEST: ("Invalid value in the request.", "invalid_request_error", None),
    FaultKind.NOT_FOUND: (
        "The model `{model}` does not exist or you do not have access to it.",
        "invalid_request_error",
        None,
    ),
    FaultKind.QUOTA_EXHAUSTED: (
        "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota",
        None,
    ),
    FaultKind.PAYMENT_REQUIRED: ("Insufficient Balance", "unknown_error", None),
}
