"""The blocks that a message's content is made of, in the words that every chat model knows."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from langchain_core.messages import BaseMessage

__all__ = ["portable"]

MessageT = TypeVar("MessageT", bound=BaseMessage)
_Content = str | list[str | dict[str, Any]]

_ANTHROPIC = frozenset({"anthropic", "bedrock"})
_GOOGLE = frozenset({"google_genai", "google_vertexai"})

# Marks of what to cache, each with the makers whose chat models read it. LiteLLM puts Anthropic's
# into the words of whoever is asked, or drops it.
_READ_BY = {
    "cache_control": _ANTHROPIC | {"litellm", "openrouter"},
    "cachePoint": frozenset({"bedrock_converse"}),
    "prompt_cache_breakpoint": frozenset({"openai"}),
}


def portable(message: MessageT, maker: str) -> MessageT:
    """Return a message without what only another maker's models read.

    Args:
        message: Any message but another maker's answer; it is not changed.
        maker: Who made the next model.

    Returns:
        The same object if there is nothing to do.
    """
    update: dict[str, Any] = {}
    if message.additional_kwargs:
        extras = _without_marks(message.additional_kwargs, maker)
        if extras is not message.additional_kwargs:
            update["additional_kwargs"] = extras
    if not isinstance(message.content, str):
        content = _portable_content(message.content, maker)
        if content is not message.content:
            update["content"] = content
    return message.model_copy(update=update) if update else message


def _portable_content(content: _Content, maker: str) -> _Content:
    if isinstance(content, str):
        return content
    blocks = [_portable_block(block, maker) for block in content]
    if all(new is old for new, old in zip(blocks, content, strict=True)):
        return content
    return [block for block in blocks if block]


def _portable_block(block: str | dict[str, Any], maker: str) -> str | dict[str, Any]:
    """Return a block as the maker's models read it; an empty one if it only was a mark."""
    if isinstance(block, str):
        return block
    written_by = _GOOGLE if block.get("type") == "media" else _ANTHROPIC
    told = _without_marks(block if maker in written_by else _standard_block(block), maker)
    if isinstance(told.get("content"), list):
        content = _portable_content(told["content"], maker)
        told = told if content is told["content"] else {**told, "content": content}
    return told


def _standard_block(block: dict[str, Any]) -> dict[str, Any]:
    """Return a picture, document or medium of Anthropic or Google in LangChain's own format.

    Any other block is returned as it is.
    """
    match block:
        case {"type": "image" | "document" as kind, "source": {"type": _} as source}:
            made = _from_anthropic(kind, cast("dict[str, Any]", source), block.get("title"))
        case {"type": "media", "mime_type": str() as mime_type, "data": str() as data}:
            made = _from_google(mime_type, data)
        case _:
            made = None
    if made is None:
        return block
    mark = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    return made | mark


def _without_marks(mapping: dict[str, Any], maker: str) -> dict[str, Any]:
    if _READ_BY.keys().isdisjoint(mapping):
        return mapping
    rest = {
        name: value
        for name, value in mapping.items()
        if name not in _READ_BY or maker in _READ_BY[name]
    }
    return mapping if len(rest) == len(mapping) else rest


def _from_anthropic(kind: str, source: dict[str, Any], title: object) -> dict[str, Any] | None:
    match source:
        case {"type": "base64", "media_type": str() as mime_type, "data": str() as data}:
            made = {"type": "image", "base64": data, "mime_type": mime_type}
            named = {"type": "file", "extras": {"filename": str(title or "document")}}
            return made if kind == "image" else made | named
        case {"type": "url", "url": str() as url} if kind == "image":
            return {"type": "image", "url": url}
        case {"type": "text", "data": str() as text}:
            return {"type": "text", "text": text}
        case _:
            return None


def _from_google(mime_type: str, data: str) -> dict[str, Any]:
    kind = mime_type.partition("/")[0]
    made = {"type": kind, "base64": data, "mime_type": mime_type}
    if kind in {"audio", "image", "video"}:
        return made
    return made | {"type": "file", "extras": {"filename": "document"}}
