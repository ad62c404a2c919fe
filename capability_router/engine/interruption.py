"""What the caller has of an answer that broke off, and how it may go on.

Knows nothing of how a text is sent; no model is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from capability_router.engine.errors import NothingToAddError
from capability_router.engine.feature import Feature
from capability_router.engine.outcome import Attempt
from capability_router.engine.request import CompletionRequest
from capability_router.engine.retry import Interruption

__all__ = ["Interrupted"]

_OBJECTS = frozenset({Feature.STRUCTURED_OUTPUT, Feature.JSON_MODE})


class Interrupted:
    """A part of an answer that was handed out, and the ways to go on that are left.

    Args:
        ways: The ways that the pool's policy names, in the order of preference.
        request: What was asked for.

    Attributes:
        text: What the caller has of the answer that is given at present.
        model: Id of the model that broke off last.
        cause: What its stream broke with.
        ended_by: Id of the provider whose model had nothing to add to the text; None for none.
        asked_again: True once that model was asked to go on itself.
    """

    def __init__(self, ways: Sequence[Interruption], request: CompletionRequest) -> None:
        self._ways = [*ways, Interruption.ERROR]
        self._objects = bool(_OBJECTS & request.requires)
        self.text = ""
        self.model = ""
        self.cause: BaseException | None = None
        self.ended_by: str | None = None
        self.asked_again = False

    @property
    def way(self) -> Interruption:
        """How the call goes on."""
        return self._ways[0]

    @property
    def prefill(self) -> str:
        """What the next answer begins with; empty if it does not go on from anything."""
        return self.text if self.way is Interruption.CONTINUE else ""

    def add(self, attempt: Attempt, text: str, *, only_text: bool) -> None:
        """Note a further part, after which its stream broke.

        Args:
            attempt: What it came from.
            text: Its text, which is the beginning of all unless the answer was continued.
            only_text: False if it was more than text, which nobody can go on from: a tool call
                that one model began and another one ended would be nobody's.
        """
        self.text = self.prefill + text
        self.model, self.cause, self.ended_by = attempt.model, attempt.error, None
        if not only_text or self._objects or not self.text.strip():
            self._ways = [way for way in self._ways if way is not Interruption.CONTINUE]

    def hear(self, attempt: Attempt) -> None:
        """Take note of how an attempt to go on has failed."""
        if self.ended_by is None and isinstance(attempt.error, NothingToAddError):
            self.ended_by = attempt.provider

    def may_end_with(self, provider: str) -> bool:
        """Whether a model of a provider may end the answer without a word.

        Two models of one provider are no two witnesses: it may be sick as a whole.
        """
        return self.ended_by not in (None, provider)

    def give_up_way(self) -> None:
        """Turn to the next way: nobody can go the present one."""
        del self._ways[0]

    def asked(self, request: CompletionRequest) -> CompletionRequest:
        """Return what to ask for now."""
        if self.way is not Interruption.CONTINUE:
            return request
        return replace(request, requires=request.requires | {Feature.ASSISTANT_PREFILL})
