"""The table of faults: what is done to the providers, and what has to come of it.

An outcome reads ``how the call ended: provider how its attempt ended, ...``. A call is ``complete``
if the caller has the whole answer of one model, ``continued`` if another model has said the rest,
``interrupted`` or ``all failed`` by an error of ours, and ``refused`` by the provider's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from capability_router.lab import (
    Fault,
    LabProvider,
    context_overflow,
    cut_stream,
    duplicate_finish,
    empty_answer,
    filtered,
    hang,
    html,
    late_first_token,
    malformed_chunk,
    no_done,
    no_usage,
    ok,
    overloaded,
    oversized,
    pings,
    policy_violation,
    rate_limited,
    redirect,
    reset,
    server_error,
    silent_stream,
)
from tests.faults.stage import LIMIT_S

__all__ = ["FURTHER", "SIXTEEN", "Case", "Outcome", "always"]

Done = Callable[[LabProvider], None]
RETRY_AFTER_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """What has to come of a fault, for answers that come whole and for those that are streamed."""

    whole: str
    stream: str

    @classmethod
    def of(cls, told: str | tuple[str, str]) -> Outcome:
        whole, stream = (told, told) if isinstance(told, str) else told
        return cls(whole, stream)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        number: Its number; rows that belong together have a letter.
        name: The fault in words.
        alpha: What is done to the first provider.
        beta: The same of the second.
        default: What has to come of it under ``RetryPolicy()``.
        patient: The same under ``RetryPolicy.patient()``; None where that is not looked at.
        is_waited_for: Whether real time has to pass before the fault is noticed.
        stated_s: Seconds that the provider has asked to wait and the patient have to.
        finish: The finish reason of the answer.
        asked_words: Words of the whole answer.
        words: Words of it that come.
        requests_of_one: Requests that one attempt may make at most.
        deadline_s: Seconds for the whole call, of the machine's clock; None for no limit.
        windows: Context windows of the models.
        with_tool: Whether a tool has to be called.
        tells_usage: Whether the provider counts tokens.
    """

    number: str
    name: str
    default: str | tuple[str, str]
    patient: str | tuple[str, str] | None = None
    alpha: Done = lambda _: None
    beta: Done = lambda _: None
    is_waited_for: bool = False
    stated_s: float = 0.0
    finish: str = "stop"
    asked_words: int = 60
    words: int = 60
    requests_of_one: int = 1
    deadline_s: float | None = None
    windows: Mapping[str, int] = field(default_factory=dict[str, int])
    with_tool: bool = False
    tells_usage: bool = True

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    def outcomes(self) -> dict[str, Outcome]:
        """Return what has to come of it, by profile."""
        told = {"default": self.default, "patient": self.patient}
        return {name: Outcome.of(each) for name, each in told.items() if each is not None}


def once(*faults: Fault) -> Done:
    """Let the next requests meet these faults, and all after them none."""
    return lambda provider: provider.script(*faults)


def always(fault: Fault) -> Done:
    """Let every request meet a fault."""

    def standing(provider: LabProvider) -> None:
        provider.fault = fault

    return standing


def cut_then_refuse_prefill(provider: LabProvider) -> None:
    provider.script(cut_stream(after=40))
    provider.prefill = "refuse"


def refuse_prefill(provider: LabProvider) -> None:
    provider.prefill = "refuse"


ALPHA = "complete: alpha served"


def beta_after(kind: str) -> str:
    return f"complete: alpha {kind}, beta served"


def alpha_after(kind: str) -> str:
    return f"complete: alpha {kind}, alpha served"


def continued_after(kind: str) -> str:
    return f"continued: alpha {kind}, beta served"


SIXTEEN = (
    Case(
        "1",
        "429 with Retry-After, once",
        alpha=once(rate_limited(RETRY_AFTER_S)),
        default=beta_after("rate_limited"),
        patient=alpha_after("rate_limited"),
        stated_s=RETRY_AFTER_S,
    ),
    Case(
        "2",
        "429 for ever, without Retry-After",
        alpha=always(rate_limited()),
        default=beta_after("rate_limited"),
        patient=beta_after("rate_limited"),
    ),
    Case(
        "3",
        "500, once",
        alpha=once(server_error()),
        default=beta_after("server_error"),
        patient=alpha_after("server_error"),
    ),
    Case(
        "4",
        "503 for ever",
        alpha=always(overloaded()),
        default=beta_after("overloaded"),
        patient="complete: alpha overloaded, alpha overloaded, beta served",
    ),
    Case(
        "5",
        "TCP reset before the headers",
        alpha=always(reset()),
        default=beta_after("connection"),
        patient="complete: alpha connection, alpha connection, beta served",
    ),
    Case(
        "6",
        "no response",
        alpha=always(hang()),
        default=beta_after("timeout"),
        patient=beta_after("timeout"),
        is_waited_for=True,
    ),
    Case(
        "7",
        "headers at once, first token 20 s late",
        alpha=always(late_first_token(20)),
        default=beta_after("timeout"),
        patient=beta_after("timeout"),
        is_waited_for=True,
    ),
    Case(
        "8a",
        "cut after 40 of 60 tokens, chunked",
        alpha=always(cut_stream(40, "chunked")),
        default=(beta_after("protocol"), continued_after("protocol")),
        patient=(beta_after("protocol"), continued_after("protocol")),
    ),
    Case(
        "8b",
        "cut after 40 of 60 tokens, framed by its end",
        alpha=always(cut_stream(40, "close")),
        default=(beta_after("protocol"), continued_after("protocol")),
        patient=(beta_after("protocol"), continued_after("protocol")),
    ),
    Case(
        "8c",
        "cut after the last token, before the finish reason",
        alpha=once(cut_stream(60)),
        default=(beta_after("protocol"), continued_after("protocol")),
        patient=(beta_after("protocol"), continued_after("protocol")),
    ),
    Case(
        "9",
        "silent for 30 s after 20 tokens",
        alpha=always(silent_stream(20, 30)),
        default=(beta_after("timeout"), continued_after("stalled")),
        patient=(beta_after("timeout"), continued_after("stalled")),
        is_waited_for=True,
    ),
    Case(
        "10a",
        "malformed chunk in the place of one",
        alpha=always(malformed_chunk(20)),
        default=(beta_after("protocol"), continued_after("protocol")),
        patient=(beta_after("protocol"), continued_after("protocol")),
    ),
    Case(
        "10b",
        "malformed chunk besides all others",
        alpha=always(malformed_chunk(20, extra=True)),
        default=(beta_after("protocol"), continued_after("protocol")),
        patient=(beta_after("protocol"), continued_after("protocol")),
    ),
    Case(
        "11",
        "complete, without [DONE]",
        alpha=always(no_done()),
        default=ALPHA,
        patient=ALPHA,
    ),
    Case(
        "12a",
        "context length exceeded, the second model has a larger window",
        alpha=always(context_overflow()),
        windows={"alpha": 1000, "beta": 8000},
        default=beta_after("context_overflow"),
        patient=beta_after("context_overflow"),
    ),
    Case(
        "12b",
        "context length exceeded, no model has a larger window",
        alpha=always(context_overflow()),
        windows={"alpha": 8000, "beta": 8000},
        default="refused: alpha context_overflow",
        patient="refused: alpha context_overflow",
    ),
    Case(
        "13a",
        "content filter, as a 400",
        alpha=always(policy_violation()),
        default="refused: alpha content_policy",
        patient="refused: alpha content_policy",
    ),
    Case(
        "13b",
        "content filter, as the finish reason of a 200",
        alpha=always(filtered(10)),
        words=10,
        finish="content_filter",
        default=ALPHA,
        patient=ALPHA,
    ),
    Case(
        "14a",
        "cut, and the next model refuses to continue",
        alpha=once(cut_stream(40)),
        beta=refuse_prefill,
        default=(
            beta_after("protocol"),
            "continued: alpha protocol, beta unsupported, alpha served",
        ),
        patient=(
            beta_after("protocol"),
            "continued: alpha protocol, beta unsupported, alpha served",
        ),
    ),
    Case(
        "14b",
        "cut, and no model continues",
        alpha=cut_then_refuse_prefill,
        beta=refuse_prefill,
        default=(
            beta_after("protocol"),
            "interrupted: alpha protocol, beta unsupported, alpha unsupported",
        ),
        patient=(
            beta_after("protocol"),
            "interrupted: alpha protocol, beta unsupported, alpha unsupported",
        ),
    ),
    Case(
        "16",
        "what failed is not charged, what served is told",
        alpha=always(server_error()),
        default=beta_after("server_error"),
        patient="complete: alpha server_error, alpha server_error, beta served",
    ),
)
FURTHER = (
    Case(
        "17",
        "every provider is down",
        alpha=always(server_error()),
        beta=always(overloaded()),
        default="all failed: alpha server_error, beta overloaded",
    ),
    Case(
        "18",
        "a web page in the place of JSON",
        alpha=always(html()),
        default=beta_after("protocol"),
    ),
    Case(
        "19a",
        "cut before the first token, chunked",
        alpha=always(cut_stream(0, "chunked")),
        default=beta_after("protocol"),
    ),
    Case(
        "19b",
        "cut before the first token, framed by its end",
        alpha=always(cut_stream(0, "close")),
        default=beta_after("protocol"),
    ),
    Case(
        "20", "an answer without usage", alpha=always(no_usage()), default=ALPHA, tells_usage=False
    ),
    Case(
        "21a",
        "a tool call cut in its middle, chunked",
        alpha=always(cut_stream(2, "chunked")),
        with_tool=True,
        finish="tool_calls",
        default=(beta_after("protocol"), "interrupted: alpha protocol"),
    ),
    Case(
        "21b",
        "a tool call cut in its middle, framed by its end",
        alpha=always(cut_stream(2, "close")),
        with_tool=True,
        finish="tool_calls",
        default=(beta_after("protocol"), "interrupted: alpha protocol"),
    ),
    Case("22", "an empty answer", alpha=always(empty_answer()), default=beta_after("protocol")),
    Case("23", "the finish reason twice", alpha=always(duplicate_finish()), default=ALPHA),
    Case(
        "24",
        "a redirect to itself",
        alpha=always(redirect()),
        default=beta_after("connection"),
        requests_of_one=21,
    ),
    Case("25", "a body of 2 MB of space", alpha=always(oversized(2_000_000)), default=ALPHA),
    Case(
        "26",
        "a slow drip, below every limit, past the deadline",
        alpha=always(ok(seconds_per_chunk=LIMIT_S / 5)),
        default=(ALPHA, "interrupted: alpha timeout"),
        deadline_s=2 * LIMIT_S,
    ),
    Case(
        "27",
        "pings in the place of the first token",
        alpha=always(pings(30, every=0.05)),
        default=beta_after("timeout"),
        is_waited_for=True,
    ),
)
