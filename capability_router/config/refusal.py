"""What a value is refused for."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["RefusedError"]


class RefusedError(ValueError):
    """What the readers of single values object to; ``wording`` has the sentence.

    Args:
        kind: Name of the sentence.
        allowed: What could stand there instead, if that is a closed set.
        why: The end of the sentence, where it is another module's; shows no part of the value.
    """

    def __init__(self, kind: str, allowed: Sequence[str] = (), why: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.allowed = list(allowed)
        self.why = why
