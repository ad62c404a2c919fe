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

from langchain_capability_router.requests import SWITCHES

__all__ = ["SwitchedChatModel"]


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


def _switched(config: RunnableConfig | None, given: dict[str, Any]) -> dict[str, Any]:
    """Add what a configuration, or that of its surroundings, switches; what is given wins."""
    settings = ensure_config(config).get("configurable", {})
    if "thread_id" in settings:
        settings = {"session": settings["thread_id"], **settings}
    return {**{name: settings[name] for name in SWITCHES if name in settings}, **given}
