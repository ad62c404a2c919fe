"""Answers and exceptions of client libraries that nobody has told of."""

from __future__ import annotations

import sys

from capability_router.completeness import check_complete
from capability_router.engine.outcome import Failure, Usage
from capability_router.engine.steps import Try
from capability_router.failures import failure_of
from capability_router.usages import usage_of

__all__ = ["AnyAnswer"]


class AnyAnswer:
    """Reads answers of code that is not known here, as far as they have a form that is known."""

    def __init__(self) -> None:
        # An exception that the caller is handling already is the context of every later one.
        self._before = sys.exc_info()[1]

    def failure(self, error: Exception) -> Failure:
        """Name what an exception means."""
        return failure_of(error, before=self._before)

    def usage(self, answer: object, step: Try) -> Usage:
        """Return the tokens of an answer.

        Raises:
            IncompleteAnswerError: If the answer was cut short.
        """
        del step
        check_complete(answer)
        return usage_of(answer)
