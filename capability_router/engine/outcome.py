"""How one attempt ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from capability_router.engine.untrusted import shown

__all__ = ["Attempt", "Failure", "FailureKind", "Outcome", "Usage"]


class FailureKind(StrEnum):
    """What went wrong, by who has to act on it; ``faults`` says what follows."""

    INVALID_REQUEST = "invalid_request"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_POLICY = "content_policy"
    UNSUPPORTED = "unsupported"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    BILLING = "billing"
    QUOTA_EXHAUSTED = "quota_exhausted"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CONNECTION = "connection"
    PROTOCOL = "protocol"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer as the provider counted them, and its cost.

    Attributes:
        input_tokens: Tokens of the prompt, >= 0.
        output_tokens: Tokens of the answer, >= 0.
        cost_usd: What the answer cost, >= 0, where whoever called the model has worked it out; it
            counts for a model without a price of its own. None if that is not known.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt did not give an answer.

    Attributes:
        kind: What went wrong.
        status: HTTP status, None if no response came.
        retry_after_s: Seconds the provider asked to wait, >= 0; None if it did not say.
        message: The provider's words as they can be shown: without what looks like a key, what
            does not print escaped, cut to 300 characters.
        error: The provider's own exception, to be re-raised or chained.
    """

    kind: FailureKind
    status: int | None = None
    retry_after_s: float | None = None
    message: str = ""
    error: BaseException | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", shown(self.message))

    def __reduce__(self) -> tuple[object, ...]:
        # The exception stays: it holds what the provider said, with every key that was quoted.
        return Failure, (self.kind, self.status, self.retry_after_s, self.message)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of an attempt: an answer, or a failure.

    Attributes:
        failure: Why there is no answer; None for an answer.
        usage: Tokens of the answer.
        latency_s: Seconds from start to end, >= 0; None lets the router take the lease's age.
        first_token_s: Seconds from start to the first chunk that brought something, >= 0; None if
            the answer was not streamed.
    """

    failure: Failure | None = None
    usage: Usage = Usage()
    latency_s: float | None = None
    first_token_s: float | None = None

    @classmethod
    def success(cls, usage: Usage | None = None) -> Outcome:
        """Return the outcome of a complete answer."""
        return cls(usage=usage or Usage())

    @classmethod
    def failed(
        cls, kind: FailureKind, *, status: int | None = None, retry_after_s: float | None = None
    ) -> Outcome:
        """Return the outcome of a failure; the arguments are those of ``Failure``."""
        return cls(failure=Failure(kind, status, retry_after_s))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of a call's history.

    Attributes:
        model: Id of the model that was tried.
        provider: Id of its provider.
        kind: How it failed; None if it served.
        status: HTTP status of the failure, if any.
        latency_s: Seconds it took, >= 0.
        probe: True if it was the trial of a model on standby.
        hedge: True if it ran beside another attempt that took long. Of the two the one that was
            not used is ``cancelled``.
        error: The provider's own exception, if any.
        pool: Name of the pool that the model was picked from.
        started_at: Monotonic seconds when it began.
        first_token_s: Seconds to the first token of a stream; None if there was none.
        wait_s: Seconds that the call had paused before it, >= 0.
        usage: Tokens of the answer.
        cost_usd: What the answer cost, >= 0; None if that is not known.
        retry_after_s: Seconds that the provider asked to wait, >= 0; None if it did not say.
    """

    model: str
    provider: str
    kind: FailureKind | None = None
    status: int | None = None
    latency_s: float = 0.0
    probe: bool = False
    hedge: bool = False
    error: BaseException | None = field(default=None, compare=False, repr=False)
    pool: str = ""
    started_at: float = 0.0
    first_token_s: float | None = None
    wait_s: float = 0.0
    usage: Usage = Usage()
    cost_usd: float | None = None
    retry_after_s: float | None = None

    def __reduce__(self) -> tuple[object, ...]:
        # The exception stays: few client libraries make theirs so that they can be pickled.
        facts = (self.model, self.provider, self.kind, self.status, self.latency_s)
        times = (self.pool, self.started_at, self.first_token_s, self.wait_s)
        rest = (self.usage, self.cost_usd, self.retry_after_s)
        return Attempt, (*facts, self.probe, self.hedge, None, *times, *rest)

    def __str__(self) -> str:
        status = f" (HTTP {self.status})" if self.status else ""
        return f"{self.model}: {self.kind or 'served'}{status} in {self.latency_s:.2f} s"

    def as_dict(self) -> dict[str, object]:
        """Return the line as JSON-ready values, without the exception."""
        return {
            "model": self.model,
            "provider": self.provider,
            "kind": str(self.kind) if self.kind else None,
            "status": self.status,
            "latency_s": round(self.latency_s, 6),
            "probe": self.probe,
            "hedge": self.hedge,
            "pool": self.pool,
            "started_at": self.started_at,
            "first_token_s": self.first_token_s,
            "wait_s": self.wait_s,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "cost_usd": self.cost_usd,
            "retry_after_s": self.retry_after_s,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Attempt:
        """Return what ``as_dict`` told."""
        facts = dict(told)
        kind = facts.pop("kind")
        usage = Usage(facts.pop("input_tokens"), facts.pop("output_tokens"))
        return cls(**facts, kind=FailureKind(kind) if kind else None, usage=usage)
