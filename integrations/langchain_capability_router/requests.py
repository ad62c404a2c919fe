"""What one call asks of a pool, read from its parameters and its messages.

Knows what may be switched for a single call; not who serves it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately

from capability_router.engine.errors import UnknownCapabilityError
from capability_router.engine.request import CompletionRequest
from capability_router.requirements import requirements_of
from capability_router.router import CapabilityRouter
from langchain_capability_router.tools import has_provider_tools

__all__ = ["NO_PART_OF_THE_ANSWER", "SWITCHES", "take_request"]

SWITCHES = ("capability", "pool", "requires", "prefers", "session", "deadline")
"""What ``config["configurable"]`` may switch for one call."""

NO_PART_OF_THE_ANSWER = frozenset({"session", "deadline", "side_effects", "timeout"})
"""What a call may be given that changes no answer, but who gives it and when."""

_ROUTED = frozenset({*SWITCHES, "model", "side_effects", "timeout"})
"""What a call may be given for the router; all else is for the model."""


_NONE: frozenset[str] = frozenset()


def take_request(
    router: CapabilityRouter,
    defaults: Mapping[str, Any],
    messages: Sequence[BaseMessage],
    options: dict[str, Any],
) -> CompletionRequest:
    """Take out of the parameters of a call what the models are not told, as a request.

    Args:
        router: Knows the capabilities.
        defaults: What holds where the call says nothing; ``requires`` adds up.
        messages: The conversation; what it needs of a model is read off it.
        options: The parameters; loses those that are for the router.

    Raises:
        TypeError: If something is of another type: a name no text, a time no number.
        ValueError: If a required feature does not exist, or a time is negative.
    """
    given = {name: options.pop(name) for name in _ROUTED & options.keys()}
    options.pop("stream", None)
    asked = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    model = asked.get("model")
    if isinstance(model, str) and _is_capability(router, model):
        asked["capability"], asked["model"] = given.get("capability") or model, None
    session = asked.get("session")
    for name in ("capability", "pool", "model"):
        if not isinstance(asked.get(name), str | None):
            raise TypeError(f"{name} {asked[name]!r} must be a name")
    return CompletionRequest(
        asked["capability"],
        requires=_names("requires", defaults.get("requires"))
        | _names("requires", given.get("requires"))
        | _features(messages, options),
        input_tokens=_tokens(messages, options),
        output_tokens=options.get("max_tokens") or 0,
        pool=asked.get("pool"),
        deadline_s=asked.get("deadline"),
        timeout_s=asked.get("timeout"),
        session=None if session is None else str(session),
        prefers=asked.get("prefers") or (),
        model=asked.get("model"),
        side_effects=bool(asked.get("side_effects", has_provider_tools(options))),
    )


def _is_capability(router: CapabilityRouter, name: str) -> bool:
    try:
        router.tree.resolve(name)
    except UnknownCapabilityError:
        return False
    return True


def _names(field: str, names: Collection[str] | None) -> frozenset[str]:
    if isinstance(names, str):
        raise TypeError(f"{field} {names!r} must be a list of names: [{names!r}]")
    return frozenset(names) if names else _NONE


def _features(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> frozenset[str]:
    """Return what a model must be able to do; LangChain's blocks have the types of OpenAI's.

    Streaming is not among it: what a model cannot stream comes as one chunk.
    """
    mixed = [
        {"content": message.content}
        for message in messages
        # What models have drawn is no part of what the next one is sent.
        if not isinstance(message.content, str) and not isinstance(message, AIMessage)
    ]
    return requirements_of({**options, "messages": mixed}) if mixed or options else _NONE


def _tokens(messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> int:
    """Estimate the tokens of the text; pictures, sounds and files are counted by no rule."""
    told = [
        message
        if isinstance(message.content, str)
        else message.model_copy(update={"content": str(message.text)})
        for message in messages
    ]
    return count_tokens_approximately(told, tools=options.get("tools"))
