"""Errors that reach nobody: of threads, of tasks that nobody awaits, of finalizers."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from contextlib import ExitStack
from types import TracebackType
from typing import Self

__all__ = ["LostErrors"]

_MOST = 20
# LiteLLM 1.106 logs in one task for the whole process: with a second event loop it is made anew at
# each change from one to the other, and loses what it was doing.
_LITELLMS = ("LoggingWorker", "cannot reuse already awaited coroutine")


class LostErrors(logging.Handler):
    """Collects them while it is entered, and keeps LiteLLM's own reports of failures quiet.

    Attributes:
        faults: What was lost, in words.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.faults: list[str] = []
        self._after = ExitStack()

    def __enter__(self) -> Self:
        self._change(
            sys, "unraisablehook", lambda lost: self._note(f"{lost.exc_value!r} in {lost.object!r}")
        )
        self._change(
            threading, "excepthook", lambda lost: self._note(f"{lost.exc_value!r} in {lost.thread}")
        )
        loops, litellms = logging.getLogger("asyncio"), logging.getLogger("LiteLLM")
        self._after.callback(litellms.setLevel, litellms.level)
        self._after.callback(loops.removeHandler, self)
        litellms.setLevel(logging.CRITICAL)
        loops.addHandler(self)
        # LiteLLM makes the coroutine of its request some awaits before it awaits it.
        warnings.filterwarnings(
            "ignore", "coroutine '(OpenAIChatCompletion|CapabilityLLM)", RuntimeWarning
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._after.close()

    def emit(self, record: logging.LogRecord) -> None:
        """Take in what an event loop tells."""
        self._note(f"{record.getMessage()} {record.exc_info and record.exc_info[1]!r}")

    def _change(self, module: object, name: str, hook: object) -> None:
        self._after.callback(setattr, module, name, getattr(module, name))
        setattr(module, name, hook)

    def _note(self, lost: str) -> None:
        if len(self.faults) < _MOST and not any(sign in lost for sign in _LITELLMS):
            self.faults.append(lost)
