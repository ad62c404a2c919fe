"""The endpoints that LiteLLM routes: what they are called, and how their answers are followed.

Knows names and shapes; calls nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import litellm

from capability_router.driving.drivers import Watch
from capability_router.driving.joining import Splice
from capability_router.engine.default_tree import DEFAULT_TREE
from litellm_capability_router.answers import LiteLLMWatch
from litellm_capability_router.continuing import ChatSplice
from litellm_capability_router.messages import AnthropicWatch

__all__ = ["ENDPOINTS", "Endpoint"]


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of LiteLLM, sync or async.

    Attributes:
        name: Of the Router's method, and of LiteLLM's function.
        positional: Names of the arguments that callers may give without a name, in order.
        function: Of LiteLLM's function, where it has another name.
        metadata: Where LiteLLM keeps its own facts: the providers of some endpoints have a
            parameter ``metadata`` of their own.
        watch: Makes the watch over a stream of it.
        splice: Makes what lets the streams of two models be one; None where they cannot be.
        homes: Nodes of the default tree whose models it can ask; empty for all but ``_ALOOF``.
    """

    name: str
    positional: tuple[str, ...] = ("model",)
    function: str = ""
    metadata: str = "metadata"
    watch: Callable[[], Watch[Any]] = LiteLLMWatch
    splice: Callable[[], Splice[Any] | None] = lambda: None
    homes: tuple[str, ...] = ()

    @property
    def is_completion(self) -> bool:
        """Whether it answers with choices.

        A stream of them tells the usage only if ``stream_options`` asks for it, and to a whole one
        LiteLLM gives a finish reason where the provider has sent none.
        """
        return self.name.endswith("completion")

    @property
    def kind(self) -> str:
        """Its name, the same for sync and async."""
        return self.function or self.name.removeprefix("a")

    @cached_property
    def call(self) -> Callable[..., Any]:
        """LiteLLM's function."""
        function: Callable[..., Any] = getattr(litellm, self.function or self.name)
        return function

    @cached_property
    def is_async(self) -> bool:
        """Whether the call is awaited."""
        return inspect.iscoroutinefunction(self.call)

    def can_ask(self, node: str) -> bool:
        """Return whether models at a node can be meant to answer here.

        Asking a chat model for vectors would be answered with "not found", and it would rest.

        Args:
            node: Full path; one outside of the default tree's categories may be asked anything.
        """
        if node.partition(".")[0] not in DEFAULT_TREE:
            return True
        if not self.homes:
            return not any(_is_within(node, aloof) for aloof in _ALOOF)
        return any(_is_within(node, home) or _is_within(home, node) for home in self.homes)

    def named(self, args: tuple[Any, ...]) -> dict[str, Any]:
        """Return arguments that were given without a name under their names.

        Raises:
            TypeError: If there are too many.
        """
        if len(args) > len(self.positional):
            raise TypeError(
                f"{self.name}() takes {len(self.positional)} arguments without a name"
                f" ({', '.join(self.positional)}), and {len(args)} were given"
            )
        return dict(zip(self.positional, args, strict=False))


_ALOOF = ("representation.embeddings", "retrieval.reranking")
"""Where no model answers in words."""

_PICTURES = ("generation.image-generation", "transformation.image-editing")
_VOICES = ("generation.audio-generation",)
_EARS = ("understanding.audio-understanding",)
_EYES = ("understanding.vision-understanding", "understanding.document-understanding")


def _is_within(node: str, other: str) -> bool:
    return node == other or node.startswith(f"{other}.")


def _both(
    name: str,
    *positional: str,
    metadata: str = "metadata",
    splice: Callable[[], Splice[Any] | None] = lambda: None,
    homes: tuple[str, ...] = (),
) -> tuple[Endpoint, Endpoint]:
    names = positional or ("model",)
    return (
        Endpoint(name, names, metadata=metadata, splice=splice, homes=homes),
        Endpoint(f"a{name}", names, metadata=metadata, splice=splice, homes=homes),
    )


def _messages(name: str) -> Endpoint:
    return Endpoint(
        name,
        function="anthropic_messages",
        metadata="litellm_metadata",
        watch=AnthropicWatch,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    *_both("completion", "model", "messages", splice=ChatSplice),
    *_both("text_completion", "model", "prompt"),
    *_both("responses", metadata="litellm_metadata"),
    *_both("embedding", "model", "input", homes=("representation",)),
    *_both("image_generation", "prompt", "model", homes=_PICTURES),
    *_both("image_edit", metadata="litellm_metadata", homes=_PICTURES),
    *_both("speech", "model", "input", "voice", homes=_VOICES),
    *_both("transcription", "file", "model", homes=_EARS),
    *_both("rerank", "model", homes=("retrieval",)),
    *_both("moderation", homes=("evaluation",)),
    *_both("ocr", metadata="litellm_metadata", homes=_EYES),
    _messages("anthropic_messages"),
    _messages("aanthropic_messages"),
)
"""All of them. LiteLLM's Router has no sync method for some; an attached one has."""
