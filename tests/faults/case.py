"""A row of the table of faults: what is done to the providers, and what has to come of it.

An outcome reads ``how the call ended: provider how its attempt ended, ...``. A call is

- ``complete`` if the caller has the whole answer of one model,
- ``continued`` if another model has said the rest of it,
- ``restarted`` if the caller was told that another model begins anew, and has its whole answer,
- ``interrupted`` or ``all failed`` by an error of ours,
- ``refused`` by the provider's own error, and ``left`` by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from capability_router import Interruption
from capability_router.lab import Fault, LabProvider
from capability_router.lab.prefills import Prefill

__all__ = [
    "ALPHA",
    "NO",
    "Case",
    "Done",
    "Outcome",
    "alpha_after",
    "always",
    "beta_after",
    "continued_after",
    "once",
    "prefilled",
]

Done = Callable[[LabProvider], None]


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
        on_interruption: How the pool goes on with a stream that broke.
        continues: Whether the models are declared to go on with an answer.
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
    on_interruption: Interruption = Interruption.CONTINUE
    continues: bool = True
    with_tool: bool = False
    tells_usage: bool = True

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    @property
    def is_timed(self) -> bool:
        """Whether short limits of real time are set."""
        return self.is_waited_for or self.deadline_s is not None

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


def prefilled(way: Prefill, *faults: Fault) -> Done:
    """Let a provider meet in its own way what an answer is to begin with, after some faults."""

    def meeting(provider: LabProvider) -> None:
        provider.script(*faults)
        provider.prefill = way

    return meeting


NO = "–"
"""There is no such thing."""
ALPHA = "complete: alpha served"


def beta_after(kind: str) -> str:
    return f"complete: alpha {kind}, beta served"


def alpha_after(kind: str) -> str:
    return f"complete: alpha {kind}, alpha served"


ENDED_BY_BOTH = "continued: alpha protocol, beta unsupported, alpha served"


def continued_after(kind: str) -> str:
    return f"continued: alpha {kind}, beta served"
