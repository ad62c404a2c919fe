"""Every error the project raises by its own decision.

Knows no vendor: a provider's exception is translated, or passed on unchanged, at the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from capability_router.engine.timing import spell

if TYPE_CHECKING:
    from capability_router.engine.outcome import Attempt

__all__ = [
    "AllModelsFailedError",
    "AmbiguousCapabilityError",
    "AttemptTimeoutError",
    "CapabilityRouterError",
    "ConfigurationError",
    "IncompleteAnswerError",
    "LeaseEndedError",
    "NoAvailableModelError",
    "NothingToAddError",
    "Problem",
    "StreamInterruptedError",
    "UndeclaredPoolError",
    "UnknownCapabilityError",
    "UnknownModelError",
    "UnknownPoolError",
    "nearest",
]


_MOST_SHOWN = 100


class CapabilityRouterError(Exception):
    """Base of everything this project raises by its own decision."""

    def __reduce__(self) -> tuple[object, ...]:
        # Exception would call the class with ``args``, which few of these are made from.
        return _restored, (type(self), self.args, self.__dict__)

    def __repr__(self) -> str:
        # What Exception shows is the first argument alone, which says nothing here.
        return f"{type(self).__name__}({str(self)!r})"


def _restored(
    cls: type[BaseException], args: tuple[object, ...], state: dict[str, object]
) -> BaseException:
    """Make an error anew from what was pickled of it."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class _UnknownNameError(CapabilityRouterError, KeyError):
    """A name that is not there; subclasses say of which kind.

    Args:
        name: What was asked for.
        near: Existing names that resemble it, best first; may be empty.
    """

    kind = "name"

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(name)
        self.name = name
        self.near = tuple(near)

    def __str__(self) -> str:
        hint = f"; nearest: {', '.join(self.near)}" if self.near else ""
        return f"unknown {self.kind} {self.name!r}{hint}"


class UnknownCapabilityError(_UnknownNameError):
    """No node of the capability tree has this path, last segment or alias."""

    kind = "capability"


class UnknownModelError(_UnknownNameError):
    """No registered model has this id."""

    kind = "model"


class UnknownPoolError(_UnknownNameError):
    """Neither a pool nor a capability has this name."""

    kind = "pool or capability"


class UndeclaredPoolError(UnknownPoolError):
    """No declared pool has this name; that of a capability without one is made by the router."""

    kind = "declared pool"


class AmbiguousCapabilityError(UnknownCapabilityError):
    """A short name belongs to several nodes; ``near`` holds all of their paths."""

    def __str__(self) -> str:
        return f"capability {self.name!r} is ambiguous; use one of: {', '.join(self.near)}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration, with its place.

    Attributes:
        message: What was found and what is allowed, in one sentence.
        key_path: Dotted path of the key, for instance ``pools.text.strategy``.
        file: Name of the file or ``<string>``.
        line: Line in the file, counted from 1; 0 if the place is not known.
        column: Column in the line, counted from 1; 0 if the place is not known.
        nearest: The allowed spelling that is closest to what was found, if one is close.
    """

    message: str
    key_path: str = ""
    file: str = "<string>"
    line: int = 0
    column: int = 0
    nearest: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{place}: {self.key_path}: " if self.key_path else f"{place}: "
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"{where}{self.message}{hint}"


class ConfigurationError(CapabilityRouterError, ValueError):
    """A configuration that cannot be used; nothing was built from it.

    Args:
        problems: All that is wrong, in the order of the file; at least one. The message has the
            first 100.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        shown = [str(problem) for problem in problems[:_MOST_SHOWN]]
        more = len(problems) - len(shown)
        super().__init__("\n".join([*shown, f"and {more} more"] if more else shown))
        self.problems = tuple(problems)


class NoAvailableModelError(CapabilityRouterError):
    """No model can take the request now.

    Args:
        capability: What was asked for.
        reasons: Why each candidate was left out, by model id; empty if there is no candidate.
        retry_after_s: Seconds until the first of them may be tried again, >= 0; None if no
            model will come back by itself.
        attempts: What was tried for this call before, oldest first.
    """

    def __init__(
        self,
        capability: str,
        reasons: dict[str, str] | None = None,
        *,
        retry_after_s: float | None = None,
        attempts: Sequence[Attempt] = (),
    ) -> None:
        super().__init__(capability)
        self.capability = capability
        self.reasons = reasons or {}
        self.retry_after_s = retry_after_s
        self.attempts = tuple(attempts)

    def __str__(self) -> str:
        if not self.reasons:
            return (
                f"no pool of {self.capability!r} has a model: register one at or under it, or let"
                " the pool's filters admit one"
            )
        shown = "; ".join(f"{model}: {why}" for model, why in list(self.reasons.items())[:10])
        more = f"; and {len(self.reasons) - 10} more" if len(self.reasons) > 10 else ""
        wait = "" if self.retry_after_s is None else f"; try again in {spell(self.retry_after_s)}"
        return f"no model can serve {self.capability!r} now ({shown}{more}){wait}"


class AllModelsFailedError(NoAvailableModelError):
    """A call tried what it could, and nothing answered.

    ``attempts`` holds each try with its kind, status and the provider's own error; the last of
    these errors is the ``__cause__``.

    Args:
        capability: What was asked for.
        reasons: Why each other candidate was left out, by model id.
        retry_after_s: Seconds until a model may be tried again, >= 0; None if not known.
        attempts: What was tried, oldest first.
        why: Why nothing more was tried.
    """

    def __init__(
        self,
        capability: str,
        reasons: dict[str, str] | None = None,
        *,
        retry_after_s: float | None = None,
        attempts: Sequence[Attempt] = (),
        why: str = "",
    ) -> None:
        super().__init__(capability, reasons, retry_after_s=retry_after_s, attempts=attempts)
        self.why = why

    def __str__(self) -> str:
        tried = "; ".join(str(attempt) for attempt in self.attempts) or "nothing was tried"
        told = f"no model answered for {self.capability!r} ({tried}); stopped because {self.why}"
        others = {name: why for name, why in self.reasons.items() if why != "tried in this call"}
        shown = "; ".join(f"{name}: {why}" for name, why in list(others.items())[:10])
        wait = "" if self.retry_after_s is None else f"; try again in {spell(self.retry_after_s)}"
        return f"{told} ({shown}){wait}" if shown else f"{told}{wait}"


class StreamInterruptedError(CapabilityRouterError):
    """A stream broke after a part of the answer had been handed out.

    Args:
        partial_text: The text handed out so far.
        attempts: Every attempt of the call, the broken one last.
    """

    def __init__(self, partial_text: str, attempts: Sequence[Attempt]) -> None:
        super().__init__(partial_text)
        self.partial_text = partial_text
        self.attempts = tuple(attempts)

    def __str__(self) -> str:
        last = f": {self.attempts[-1]}" if self.attempts else ""
        return f"the stream broke after {len(self.partial_text)} characters{last}"


class IncompleteAnswerError(CapabilityRouterError):
    """An answer ended without a finish reason: it was cut, whatever the connection says."""

    def __str__(self) -> str:
        return "the answer ended without a finish reason: it was cut short"


class NothingToAddError(IncompleteAnswerError):
    """A model that was to go on with an answer has ended it without a word.

    That is what one says that knows the answer to be whole, and what a sick one says as well.
    """

    def __str__(self) -> str:
        return "the model added nothing to the answer; whether it is whole another one has to say"


class AttemptTimeoutError(CapabilityRouterError, TimeoutError):
    """An attempt was given up because it took longer than it may.

    Args:
        awaited: What did not come in time: ``answer``, ``first token``, ``next chunk``, or, when
            the call's deadline came, ``end of the answer``; ``next read`` where it was the caller
            who had not asked for the next chunk by then.
        limit_s: Seconds it was given.
    """

    def __init__(self, awaited: str, limit_s: float) -> None:
        super().__init__(awaited, limit_s)
        self.awaited = awaited
        self.limit_s = limit_s

    def __str__(self) -> str:
        limit = f"{self.limit_s:.3g} s" if self.limit_s < 60 else spell(self.limit_s)
        return f"the {self.awaited} did not come within {limit}"


class LeaseEndedError(CapabilityRouterError, ValueError):
    """A lease was reported or released a second time, or had expired before."""

    def __init__(self, model_id: str) -> None:
        super().__init__(model_id)
        self.model_id = model_id

    def __str__(self) -> str:
        return (
            f"the lease on {self.model_id!r} has already ended: a lease is reported or released"
            " exactly once, before it expires"
        )


def nearest(name: str, known: Sequence[str], *, most: int = 3) -> list[str]:
    """Existing names that look like a misspelt one.

    Args:
        name: What was written.
        known: What exists.
        most: How many to return at most, >= 1.

    Returns:
        The closest names, best first; empty if none is close.
    """
    return get_close_matches(name, known, n=most, cutoff=0.6)
