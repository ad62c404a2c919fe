"""Whether a chat model of LangChain shows that its answer was cut, checked with one of your own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration

from capability_router.lab import (
    Fault,
    Lab,
    cut_stream,
    duplicate_finish,
    html,
    malformed_chunk,
    no_done,
    no_usage,
    ok,
)
from langchain_capability_router.endings import tells_why

__all__ = ["ChatModelReport", "Shown", "check_chat_model"]

_QUESTION = "one two three four five six"

_WELL: Mapping[str, Fault] = {
    "well": ok(),
    "without an end mark": no_done(),
    "without usage": no_usage(),
    "finish reason sent twice": duplicate_finish(),
}
_BROKEN: Mapping[str, Fault] = {
    "cut before its text": cut_stream(0),
    "the same, as if it had ended": cut_stream(0, "close"),
    "cut, noticed by HTTP": cut_stream(2),
    "cut, as if it had ended": cut_stream(2, "close"),
    "chunk that is no JSON": malformed_chunk(2),
    "web page": html(),
}


class Shown(StrEnum):
    """What a chat model makes of an answer."""

    WHOLE = "whole"
    """The whole text, and why it ended."""
    RAISED = "raised"
    """An exception."""
    TOLD = "told"
    """A part of the text without a finish reason, from which the router knows that it was cut."""
    HIDDEN = "hidden"
    """A part of the text as if it were all; the router cannot know it either."""
    UNENDED = "no reason"
    """The whole text, but no word of why it ended: were it cut, nobody could tell."""


@dataclass(frozen=True, slots=True)
class ChatModelReport:
    """What a chat model has made of each kind of answer; as text it is a table.

    Attributes:
        rows: By the kind of answer, what each way to ask has shown: ``invoke``, ``ainvoke``,
            ``stream`` and ``astream``.
    """

    rows: Mapping[str, Mapping[str, Shown]]

    @property
    def wrong(self) -> list[str]:
        """The cases in which an answer was cut and looked whole, or was whole and not shown so."""
        return [
            f"{way}() of an answer {case}: {shown}"
            for case, row in self.rows.items()
            for way, shown in row.items()
            if (shown is not Shown.WHOLE if case in _WELL else shown is Shown.HIDDEN)
        ]

    def __str__(self) -> str:
        width = max(map(len, self.rows))
        ways = next(iter(self.rows.values()))
        lines = [" " * width + "".join(f"  {way:9}" for way in ways)]
        for case, row in self.rows.items():
            lines.append(f"{case:{width}}" + "".join(f"  {shown:9}" for shown in row.values()))
        return "\n".join(line.rstrip() for line in lines)


def check_chat_model(
    make_model: Callable[[str], BaseChatModel],
    *,
    run: Callable[[Coroutine[Any, Any, Any]], Any] | None = None,
) -> ChatModelReport:
    """Play broken answers to a chat model, and check that it passes none off as whole.

    A pool can only fail over from a model that shows that an answer was cut: by an exception, or
    by an answer without a finish reason. Some integrations end a stream that was cut as if it were
    complete. The answers come from a provider on a loopback port; it takes about a second.

    Args:
        make_model: Makes the chat model for the base URL of an API, which ends in ``/v1``: OpenAI's
            chat completions and responses, and Anthropic's messages, whose client wants it without
            that ending. Retries of its own are best switched off. It is called once.
        run: Runs each coroutine to its end, all in one event loop: one of your own, where you want
            to close the model's connections before the loop ends. None makes one for the check.

    Returns:
        What the model has shown of each answer.

    Raises:
        AssertionError: If it hides that an answer was cut, or does not show a whole one; it names
            each case, and has the table.

    Example:
        ```python
        def test_cut_answers_are_shown() -> None:
            check_chat_model(lambda url: ChatOpenAI(base_url=url, api_key="x", max_retries=0))
        ```
    """
    with Lab(["lab"], answers="echo") as lab, asyncio.Runner() as runner:
        asked = _Asked(make_model(lab["lab"].base_url), run or runner.run)
        rows: dict[str, Mapping[str, Shown]] = {}
        for case, fault in {**_WELL, **_BROKEN}.items():
            lab["lab"].fault = fault
            rows[case] = {way: asked.shown(ask) for way, ask in asked.ways.items()}
    report = ChatModelReport(rows)
    if report.wrong:
        raise AssertionError("\n".join([*report.wrong, "", str(report)]))
    return report


class _Asked:
    """A chat model, and the four ways to ask it."""

    def __init__(
        self, model: BaseChatModel, run: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self.ways: Mapping[str, Callable[[], AIMessage]] = {
            "invoke": lambda: model.invoke(_QUESTION),
            "ainvoke": lambda: run(model.ainvoke(_QUESTION)),
            "stream": lambda: _joined(model.stream(_QUESTION)),
            "astream": lambda: run(_ajoined(model.astream(_QUESTION))),
        }

    def shown(self, ask: Callable[[], AIMessage]) -> Shown:
        """Ask, and look at what came."""
        try:
            message = ask()
        except Exception:  # noqa: BLE001 - a chat model may raise anything
            return Shown.RAISED
        told = tells_why(ChatGeneration(message=message))
        if _QUESTION in message.text:
            return Shown.WHOLE if told else Shown.UNENDED
        return Shown.HIDDEN if told else Shown.TOLD


def _joined(chunks: Iterator[AIMessageChunk]) -> AIMessage:
    return reduce(add, chunks)


async def _ajoined(chunks: AsyncIterator[AIMessageChunk]) -> AIMessage:
    return reduce(add, [chunk async for chunk in chunks])
