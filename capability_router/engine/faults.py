"""The fault table: what each kind of failure means for the model and for the call.

Knows statuses and error codes, no vendor's exception class: the adapters read those out first,
because the classes that SDKs choose are less reliable than the status.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
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
    403: FailureKind.FORBIDDEN,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    409: FailureKind.OVERLOADED,
    429: FailureKind.RATE_LIMITED,
    # Groq's own: its flexible tier is full.
    498: FailureKind.OVERLOADED,
    503: FailureKind.OVERLOADED,
    529: FailureKind.OVERLOADED,
}


@dataclass(frozen=True, slots=True)
class _Sign:
    """What tells a kind of failure from the others with the same status.

    Attributes:
        statuses: The statuses that it is looked for in.
        kind: What it means.
        codes: Pattern of whole error codes, types and reasons.
        words: Pattern that is searched in the message. A ``^`` guards the kinds that send a model
            away: what a vendor repeats of the caller's request does not begin its message.
        unless_wait: True if a stated wait says that it is something else.
    """

    statuses: frozenset[int]
    kind: FailureKind
    codes: re.Pattern[str]
    words: re.Pattern[str]
    unless_wait: bool = False


def _sign(
    kind: FailureKind, *statuses: int, codes: str = "", words: str = "", unless_wait: bool = False
) -> _Sign:
    return _Sign(frozenset(statuses), kind, _pattern(codes), _pattern(words), unless_wait)


def _pattern(alternatives: str) -> re.Pattern[str]:
    nothing = r"(?!)"
    return re.compile(alternatives or nothing, re.IGNORECASE)


# The first row that fits decides: by a code in any row, else by words, else by the status alone.
_SIGNS = (
    # Messages with these codes quote what the caller wrote, whatever that is.
    _sign(
        FailureKind.INVALID_REQUEST,
        *(400, 404, 422),
        codes=r"invalid_(value|type|function_parameters|json)|missing_required_parameter"
        r"|unknown_parameter|string_above_max_length|previous_response_not_found",
        words=r"\bprevious response with id\b.{0,80}\bnot found",
    ),
    _sign(
        FailureKind.AUTH,
        *(400, 403),
        codes=r"api_key_(invalid|expired)|unrecognizedclientexception|invalidclienttokenid"
        r"|(invalid|incomplete)signature(exception)?|expiredtoken(exception)?"
        r"|missingauthenticationtoken(exception)?",
        words=r"^api key (not valid|expired)|^your api key was reported"
        r"|^the security token included in the request",
    ),
    _sign(
        FailureKind.BILLING,
        *(400, 403, 429),
        codes=r"billing_(error|hard_limit_reached|not_active)",
        words=r"^billing hard limit has been reached",
    ),
    # Anthropic answers an empty balance and a spent limit with 400.
    _sign(
        FailureKind.QUOTA_EXHAUSTED,
        400,
        codes=r"insufficient_quota",
        words=r"^your credit balance|^you\b.{0,120}\bregain access",
        unless_wait=True,
    ),
    # Gemini calls a model's usual rate limit a quota as well, but says that it is over in seconds.
    _sign(
        FailureKind.QUOTA_EXHAUSTED,
        *(403, 429),
        codes=r"insufficient_quota|\w*spend_limit_(exceeded|reached)",
        words=r"exceeded your current quota|quota exhausted|credit balance|regain access"
        r"|^key limit exceeded",
        unless_wait=True,
    ),
    _sign(
        FailureKind.RATE_LIMITED,
        400,
        codes=r"throttlingexception|servicequotaexceededexception",
    ),
    _sign(
        FailureKind.OVERLOADED,
        *(424, 429),
        codes=r"model(notready|error|streamerror)exception|service_tier_capacity_exceeded",
    ),
    # LiteLLM calls every error within a stream a 500.
    _sign(
        FailureKind.OVERLOADED,
        500,
        codes=r"overloaded_error|unavailable",
        words=r"\boverloaded\b",
    ),
    # Longer than a minute's tokens: a wait does not help, an account with other limits does.
    _sign(FailureKind.UNSUPPORTED, *(413, 429), words=r"^request too large for\b"),
    _sign(
        FailureKind.CONTEXT_OVERFLOW,
        *(400, 413, 422),
        codes=r"context_length_exceeded|exceed_context_size(_error)?",
        words=r"maximum context length|context (window|limit)|(prompt|input) is too long"
        r"|exceeds? the (available )?context|too many input tokens"
        r"|input token(s exceeded| count\b.{0,20}\bexceeds)",
    ),
    _sign(
        FailureKind.CONTENT_POLICY,
        *(400, 403, 422),
        codes=r"content_policy(_violation)?|content_filter|responsibleaipolicyviolation"
        r"|moderation_blocked|invalid_prompt",
        words=r"content (management|filtering) policy|responsible ai policy|safety system"
        r"|blocked by our content filters",
    ),
    _sign(FailureKind.CONTENT_POLICY, 403, words=r"flagged|moderation|^request blocked by guard"),
    _sign(
        FailureKind.NOT_FOUND,
        *(400, 403, 422),
        codes=r"model_(not_found|decommissioned)|invalid_model|deploymentnotfound",
        words=r"^the (provided )?model identifier is invalid|^invalid model\b"
        r"|^[\w./:-]+ is not a valid model id|^the model\b.{0,100}\bhas been decommissioned"
        r"|^invocation of model id\b.{0,120}\bwith on-demand throughput",
    ),
    _sign(FailureKind.NOT_FOUND, 403, words=r"access to (the |this )?model"),
    _sign(FailureKind.FORBIDDEN, 400, words=r"^user location is not supported"),
    _sign(
        FailureKind.UNSUPPORTED,
        *(400, 422),
        # The last two: Groq's model has failed to write what was asked for.
        codes=r"unsupported_(parameter|value)|extra_forbidden|tool_use_failed|json_validate_failed",
        words=r"\bmodel\b.{0,60}\bdo(es)?( not|n.t) support\b"
        r"|\bdoes( not|n.t) support (tools?|images?|image input|function calling|thinking)\b"
        r"|\bnot supported (with|by|for|on|in) (this|the) model\b"
        r"|\bonly supported by certain models\b|\bnot enabled for (this model|models/)"
        r"|\bextra inputs are not permitted\b",
    ),
    _sign(
        FailureKind.UNSUPPORTED,
        404,
        words=r"^no endpoints found that (support|can handle)\b",
    ),
)
# What stands in quotes is a name, or the caller's own words.
_QUOTED = re.compile(r"""(?<!\w)(['"`]).*?\1(?!\w)""", re.DOTALL)
_WAIT = r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|seconds?|sec|s|minutes?|min|m|hours?|h)(?![a-z])"
_PART = re.compile(_WAIT, re.IGNORECASE)
_RETRY_IN = re.compile(rf"(?:retry|try again) (?:in|after) ((?:{_WAIT} ?)+)", re.IGNORECASE)
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0}
# What ends when a limit is renewed; a bad key, for instance, stays bad.
_LIMITS = frozenset({FailureKind.BILLING, FailureKind.QUOTA_EXHAUSTED, FailureKind.RATE_LIMITED})


def classify(
    status: int | None,
    text: str = "",
    *,
    codes: Collection[str] | None = None,
    retry_after_s: float | None = None,
    resets_after_s: float | None = None,
    error: BaseException | None = None,
) -> Failure:
    """Name a failed response by its status, then by its error codes, then by its wording.

    Args:
        status: HTTP status; None if there was no response at all.
        text: The provider's message. If ``codes`` is None, the error code may stand in it as well.
        codes: Codes, types and reasons of the response's body; None if the body is not known.
            What the message quotes is passed over if they are given: it may be the caller's.
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
    kind = FailureKind.CONNECTION
    if status is not None:
        rows = [
            row
            for row in _SIGNS
            if status in row.statuses and not (row.unless_wait and retry_after_s is not None)
        ]
        kind = _by_sign(rows, text, codes) or _by_status(status)
    if retry_after_s is None and kind in _LIMITS:
        retry_after_s = resets_after_s
    return Failure(kind, status, retry_after_s, text, error)


def _by_sign(rows: list[_Sign], text: str, codes: Collection[str] | None) -> FailureKind | None:
    words = text if codes is None else _QUOTED.sub("", text)
    coded = (
        row.kind
        for row in rows
        if (row.codes.search(text) if codes is None else any(map(row.codes.fullmatch, codes)))
    )
    said = (row.kind for row in rows if row.words.search(words))
    return next(chain(coded, said), None)


def _by_status(status: int) -> FailureKind:
    unknown = FailureKind.INVALID_REQUEST if 400 <= status < 500 else FailureKind.SERVER_ERROR
    return _BY_STATUS.get(status, unknown)


def _stated_wait_s(text: str) -> float | None:
    """Read "retry in 27.5s" from a message; providers without the header say it so."""
    stated = _RETRY_IN.search(text)
    if stated is None:
        return None
    return sum(float(number) * _unit_s(unit.lower()) for number, unit in _PART.findall(stated[1]))


def _unit_s(unit: str) -> float:
    return 0.001 if unit == "ms" else _UNIT_S[unit[0]]
