"""What a caller asks for, without any content of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from capability_router.engine.feature import features_of

__all__ = ["CompletionRequest"]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A capability with the hard requirements that a model must meet.

    Attributes:
        capability: Path, unique last segment or alias of a node; any node is allowed.
        requires: Features that the model must have, of ``Feature``, for instance
            ``{"tool_calling"}``.
        input_tokens: Estimated tokens of the input, >= 0; 0 if not known.
        output_tokens: Tokens that the caller wants back at most, >= 0; 0 if not said.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        deadline_s: Seconds after which no attempt starts or goes on, > 0; None for the pool's own.
        timeout_s: Seconds that the caller gives each attempt, > 0; None for the pool's own. A
            shorter one than the pool's is not held against a model that does not make it.
        session: What belongs together, for instance a conversation: the strategy
            ``session-sticky`` keeps it with one model. None for nothing.
        prefers: Ids of providers to ask first, best first; each is named once. In every pool
            their models go before all others, where one can serve; among the models of one
            provider, and among the others, the pool's strategy chooses. A provider that is not
            known has no model to prefer, so it is passed over: a preference fails no request.
        model: The only model that may serve: its id, or the name that its provider calls it by,
            which several may share; None for any.
        side_effects: True if asking twice would do something twice, for instance with tools that
            the provider runs itself: such a request is never hedged.
        vector_space: The only ``Model.embedding_space`` that may serve, for vectors that have to
            be compared with others; None for any.

    Raises:
        TypeError: If ``prefers`` is one text instead of a list of them, or a time is no number.
        ValueError: If a required feature does not exist, or a number of tokens or a time is
            negative.
    """

    capability: str
    requires: frozenset[str] = frozenset()
    input_tokens: int = 0
    output_tokens: int = 0
    pool: str | None = None
    deadline_s: float | None = None
    timeout_s: float | None = None
    session: str | None = None
    prefers: tuple[str, ...] = ()
    vector_space: str | None = None
    model: str | None = None
    side_effects: bool = False

    def __post_init__(self) -> None:
        if self.requires:
            object.__setattr__(self, "requires", features_of(self.requires))
        if self.prefers:
            object.__setattr__(self, "prefers", _each_once(self.prefers))
        if self.deadline_s is not None:
            _check_time("deadline_s", self.deadline_s)
        if self.timeout_s is not None:
            _check_time("timeout_s", self.timeout_s)
        if self.input_tokens < 0 or self.output_tokens < 0:
            raise ValueError(
                f"input_tokens {self.input_tokens} and output_tokens {self.output_tokens}"
                " must not be below 0"
            )

    @property
    def tokens(self) -> int:
        """Tokens that must fit into the context window."""
        return self.input_tokens + self.output_tokens

    def as_dict(self) -> dict[str, object]:
        """Return what is asked for as JSON-ready values, without what was not said."""
        said = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) != each.default
        }
        for name, order in (("requires", sorted), ("prefers", list)):
            if name in said:
                said[name] = order(said[name])
        return said

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> CompletionRequest:
        """Return what ``as_dict`` told.

        Raises:
            TypeError, ValueError: If it is no request.
        """
        facts: dict[str, Any] = {**told, "requires": frozenset(told.get("requires", ()))}
        return cls(**facts)


def _check_time(name: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} {seconds!r} must be a number of seconds")
    if not seconds >= 0:
        raise ValueError(f"{name} {seconds!r} must not be below 0")


def _each_once(prefers: Iterable[str]) -> tuple[str, ...]:
    if isinstance(prefers, str):
        raise TypeError(f"prefers {prefers!r} must be a list of provider ids: [{prefers!r}]")
    return tuple(dict.fromkeys(prefers))
