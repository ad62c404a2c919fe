"""Chat models of which ``config["configurable"]`` switches the parameters of a single call.

LangChain's own ``configurable_fields`` loses its switches as soon as tools are bound. Here the
configuration is read when a call begins, whatever is bound and wherever in a chain or a graph.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config

from langchain_capability_router.requests import NO_PART_OF_THE_ANSWER, SWITCHES

__all__ = ["SwitchedChatModel"]


_PLAIN = (str, int, float, list, tuple, set, frozenset)


class SwitchedChatModel(BaseChatModel, ABC):
    """Hands what a configuration switches to its own methods, as parameters of the call."""

    def invoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return an answer, as any chat model does."""
        return super().invoke(input, config, stop=stop, **_switched(config, kwargs))

    async def ainvoke(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return an answer, as any chat model does."""
        return await super().ainvoke(input, config, stop=stop, **_switched(config, kwargs))

    def stream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """Yield the chunks of an answer, as any chat model does."""
        return super().stream(input, config, stop=stop, **_switched(config, kwargs))

    def astream(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """Yield the chunks of an answer, as any chat model does."""
        return super().astream(input, config, stop=stop, **_switched(config, kwargs))

    def stream_events(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Yield the events of an answer; as ``BaseChatModel.stream_events``."""
        base: Any = super()
        return base.stream_events(input, config, **_switched(config, kwargs))

    def astream_events(
        self,
        input: LanguageModelInput,  # noqa: A002 - the host's own name
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """Yield the events of an answer; as ``BaseChatModel.astream_events``."""
        base: Any = super()
        return base.astream_events(input, config, **_switched(config, kwargs))

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # What changes no answer is no part of a cache's key: each thread of a graph is a session.
        told = {name: value for name, value in kwargs.items() if name not in NO_PART_OF_THE_ANSWER}
        return super()._get_llm_string(stop, **told)


def _switched(config: RunnableConfig | None, given: dict[str, Any]) -> dict[str, Any]:
    """Add what a configuration, or that of its surroundings, switches; what is given wins."""
    settings = ensure_config(config).get("configurable", {})
    if "thread_id" in settings:
        settings = {"session": settings["thread_id"], **settings}
    found = {name: settings[name] for name in SWITCHES if name in settings}
    # A graph may keep something of its own there, such as the session of a database.
    return {**{name: told for name, told in found.items() if isinstance(told, _PLAIN)}, **given}
