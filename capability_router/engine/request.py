"""What a caller asks for, without any content of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CompletionRequest"]


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A capability with the hard requirements that a model must meet.

    Attributes:
        capability: Path, unique last segment or alias of a node; any node is allowed.
        requires: Features that the model must have, for instance ``{"tool_calling"}``.
        input_tokens: Estimated tokens of the input, >= 0; 0 if not known.
        output_tokens: Tokens that the caller wants back at most, >= 0; 0 if not said.
        pool: Name of the one pool to use; None for every pool that covers the capability.
        deadline_s: Seconds after which no attempt starts, > 0; None for the pool's own.
        timeout_s: Seconds that the caller gives each attempt, > 0; None for the pool's own. A
            shorter one than the pool's is not held against a model that does not make it.
    """

    capability: str
    requires: frozenset[str] = frozenset()
    input_tokens: int = 0
    output_tokens: int = 0
    pool: str | None = None
    deadline_s: float | None = None
    timeout_s: float | None = None

    @property
    def tokens(self) -> int:
        """Tokens that must fit into the context window."""
        return self.input_tokens + self.output_tokens
