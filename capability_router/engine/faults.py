"""The fault table: what each kind of failure means for the model and for the call.

Knows statuses and error codes, no vendor's exception class: the adapters read those out first,
because the classes that SDKs choose are less reliable than the status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from capability_router.engine.outcome import Failure, FailureKind

__all__ = ["FAULT_TABLE", "FaultRule", "Health", "classify"]


class Health(StrEnum):
    """What a failure says about the model's health."""

    UNTOUCHED = "untouched"
    """Nothing: the caller, or nobody, is to blame."""
    COUNTS = "counts"
    """One mark against the model; the deactivation policy counts them."""
    MODEL = "model"
    """The model leaves at once."""
    PROVIDER = "provider"
    """Every model of the provider leaves at once."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One row of the fault table.

    Attributes:
        health: What the failure says about the model.
        next_model: True if another model may be tried; False re-raises the provider's error.
        repeatable: True if the same model may be asked again, as the pool's ``RetryPolicy`` says.
    """

    health: Health
    next_model: bool = True
    repeatable: bool = False


_STOP = FaultRule(Health.UNTOUCHED, next_model=False)
_TRANSIENT = FaultRule(Health.COUNTS, repeatable=True)

FAULT_TABLE: Mapping[FailureKind, FaultRule] = MappingProxyType(
    {
        FailureKind.INVALID_REQUEST: _STOP,
        FailureKind.CONTEXT_OVERFLOW: FaultRule(Health.UNTOUCHED),
        FailureKind.CONTENT_POLICY: _STOP,
        FailureKind.UNSUPPORTED: FaultRule(Health.UNTOUCHED),
        FailureKind.AUTH: FaultRule(Health.PROVIDER),
        # Often one model that the account may not use; a bad key is a 401.
        FailureKind.FORBIDDEN: FaultRule(Health.MODEL),
        FailureKind.BILLING: FaultRule(Health.PROVIDER),
        FailureKind.QUOTA_EXHAUSTED: FaultRule(Health.PROVIDER),
        FailureKind.NOT_FOUND: FaultRule(Health.MODEL),
        FailureKind.RATE_LIMITED: FaultRule(Health.MODEL),
        FailureKind.OVERLOADED: _TRANSIENT,
        FailureKind.SERVER_ERROR: _TRANSIENT,
        FailureKind.TIMEOUT: FaultRule(Health.COUNTS),
        FailureKind.STALLED: FaultRule(Health.COUNTS),
        FailureKind.CONNECTION: _TRANSIENT,
        FailureKind.PROTOCOL: FaultRule(Health.COUNTS),
        FailureKind.CANCELLED: _STOP,
    }
)
"""The default table; a configuration may replace single rows."""

_BY_STATUS = {
    401: FailureKind.AUTH,
    402: FailureKind.BILLING,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    409: FailureKind.OVERLOADED,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.OVERLOADED,
    529: FailureKind.OVERLOADED,
}

_CONTEXT = re.compile(
    r"context_length_exceeded|maximum context length|context window|prompt is too long"
    r"|exceeds? the (available )?context|exceed_context_size|input is too long",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"content_policy|content_filter|content management policy|responsible ai policy|safety system",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|quota exhausted|credit balance|regain access"
    r"|spend_limit_(?:exceeded|reached)",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(r"model_not_found|access to (the |this )?model", re.IGNORECASE)
_FLAGGED = re.compile(r"flagged|moderation", re.IGNORECASE)
_RETRY_IN = re.compile(
    r"(?:retry|try again) in (\d+(?:\.\d+)?) ?(ms|s|sec|seconds)\b", re.IGNORECASE
)
# What ends when a limit is renewed; a bad key, for instance, stays bad.
_LIMITS = frozenset({FailureKind.BILLING, FailureKind.QUOTA_EXHAUSTED, FailureKind.RATE_LIMITED})
_MESSAGE_LIMIT = 300


def classify(
    status: int | None,
    text: str = "",
    *,
    retry_after_s: float | None = None,
    resets_after_s: float | None = None,
    error: BaseException | None = None,
) -> Failure:
    """Name a failed response by its status, then by its error code and wording.

    Args:
        status: HTTP status; None if there was no response at all.
        text: Error code and message together, as the provider wrote them.
        retry_after_s: Seconds the provider asked to wait in a header; None reads the text.
        resets_after_s: Seconds until the limit that was hit is renewed, where that was stated. It
            is the wait if a limit was hit and no other is known, and says nothing about the kind.
        error: The exception to keep with the failure.

    Returns:
        The failure. Without a status it is a connection failure. Every 4xx that the table does
        not know is the caller's, every other status the server's.
    """
    if retry_after_s is None:
        retry_after_s = _stated_wait_s(text)
    kind = _kind(status, text, retry_after_s)
    if retry_after_s is None and kind in _LIMITS:
        retry_after_s = resets_after_s
    return Failure(kind, status, retry_after_s, text[:_MESSAGE_LIMIT], error)


def _kind(status: int | None, text: str, retry_after_s: float | None) -> FailureKind:
    if status is None:
        return FailureKind.CONNECTION
    # Anthropic answers an empty balance and a spent limit with 400. Gemini calls a model's usual
    # rate limit a quota as well, but says that it is over in seconds.
    if status in (400, 403, 429) and retry_after_s is None and _QUOTA.search(text):
        return FailureKind.QUOTA_EXHAUSTED
    if status in (400, 413, 422):
        return _refusal(text)
    if status == 403:
        return _prohibition(text)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return FailureKind.INVALID_REQUEST if 400 <= status < 500 else FailureKind.SERVER_ERROR


def _refusal(text: str) -> FailureKind:
    if _CONTEXT.search(text):
        return FailureKind.CONTEXT_OVERFLOW
    return FailureKind.CONTENT_POLICY if _POLICY.search(text) else FailureKind.INVALID_REQUEST


def _prohibition(text: str) -> FailureKind:
    if _FLAGGED.search(text) or _POLICY.search(text):
        return FailureKind.CONTENT_POLICY
    return FailureKind.NOT_FOUND if _NO_ACCESS.search(text) else FailureKind.FORBIDDEN


def _stated_wait_s(text: str) -> float | None:
    """Read "retry in 27.5s" from a message; providers without the header say it so."""
    stated = _RETRY_IN.search(text)
    if stated is None:
        return None
    return float(stated[1]) / (1000 if stated[2].lower() == "ms" else 1)
