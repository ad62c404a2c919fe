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

from capability_router.drivers import Watch
from litellm_capability_router.answers import LiteLLMWatch
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
    """

    name: str
    positional: tuple[str, ...] = ("model",)
    function: str = ""
    metadata: str = "metadata"
    watch: Callable[[], Watch[Any]] = LiteLLMWatch

    @property
    def has_usage_option(self) -> bool:
        """Whether a stream of it tells the usage only if ``stream_options`` asks for it."""
        return self.name.endswith("completion")

    @cached_property
    def call(self) -> Callable[..., Any]:
        """LiteLLM's function."""
        function: Callable[..., Any] = getattr(litellm, self.function or self.name)
        return function

    @cached_property
    def is_async(self) -> bool:
        """Whether the call is awaited."""
        return inspect.iscoroutinefunction(self.call)

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


def _both(name: str, *positional: str, metadata: str = "metadata") -> tuple[Endpoint, Endpoint]:
    names = positional or ("model",)
    return (
        Endpoint(name, names, metadata=metadata),
        Endpoint(f"a{name}", names, metadata=metadata),
    )


def _messages(name: str) -> Endpoint:
    return Endpoint(
        name,
        function="anthropic_messages",
        metadata="litellm_metadata",
        watch=AnthropicWatch,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    *_both("completion", "model", "messages"),
    *_both("text_completion", "model", "prompt"),
    *_both("responses", metadata="litellm_metadata"),
    *_both("embedding", "model", "input"),
    *_both("image_generation", "prompt", "model"),
    *_both("image_edit", metadata="litellm_metadata"),
    *_both("speech", "model", "input", "voice"),
    *_both("transcription", "file", "model"),
    *_both("rerank", "model"),
    *_both("moderation"),
    *_both("ocr", metadata="litellm_metadata"),
    _messages("anthropic_messages"),
    _messages("aanthropic_messages"),
)
"""All of them. LiteLLM's Router has no sync method for some; an attached one has."""
