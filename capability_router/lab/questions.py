"""A validated request to a text endpoint, and what an answer needs to know of it.

Knows OpenAI's request fields; does not know who answers or how the reply travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from capability_router.lab.json_values import as_mapping, as_number, as_sequence
from capability_router.lab.refusals import invalid
from capability_router.lab.tools import ToolChoice, tool_choice
from capability_router.lab.validation import check_chat, check_completion, check_json_mode

__all__ = [
    "Question",
    "chat_question",
    "completion_question",
    "content_text",
    "read_chat",
    "required_model",
]


_TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks one provider.

    Attributes:
        provider: Name of the provider that was asked.
        model: Requested model name, which the answer repeats.
        chat: True for chat completions, False for plain completions.
        body: The whole request body; what another dialect says, in the words of a chat request.
        text: Last message of the user, or the prompt.
        prefill: Text of a last assistant message, which the answer continues; else empty.
        results: Texts of the tools' results that end the conversation, in order.
        is_answered: False where the last message is the user's.
        prompt_words: Words of the whole prompt, a rough token count; a part that is no text is one.
        audio_parts: How many of them are audio.
        format_place: Where the request says which form the answer has, for errors to name.
    """

    provider: str
    model: str
    chat: bool
    body: Mapping[str, object]
    text: str
    prefill: str
    results: tuple[str, ...]
    is_answered: bool
    prompt_words: int
    audio_parts: int
    format_place: str = "response_format"

    @property
    def stream(self) -> bool:
        """Whether the client wants the answer in chunks."""
        return self.body.get("stream") is True

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a chunk that carries the usage."""
        options = as_mapping(self.body.get("stream_options")) or {}
        return options.get("include_usage") is True

    @property
    def max_tokens(self) -> int | None:
        """Most tokens the answer may have, None where the client sets no limit."""
        for field in _TOKEN_LIMITS:
            limit = as_number(self.body.get(field))
            if limit is not None:
                return int(limit)
        return None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts before which the answer ends."""
        stop = self.body.get("stop")
        given = [stop] if isinstance(stop, str) else as_sequence(stop) or ()
        return tuple(text for text in given if isinstance(text, str) and text)

    @property
    def top_logprobs(self) -> int | None:
        """How many likely tokens to tell for each token, None where nobody asks for likelihoods."""
        if not self.chat or self.body.get("logprobs") is not True:
            return None
        return int(as_number(self.body.get("top_logprobs")) or 0)

    @property
    def is_json_mode(self) -> bool:
        """Whether the answer has to be some JSON object."""
        return self._format.get("type") == "json_object"

    @property
    def schema(self) -> Mapping[str, object] | None:
        """JSON schema the answer has to satisfy, ``{}`` for JSON mode, None for free text."""
        if self.is_json_mode:
            return {"type": "object"}
        described = as_mapping(self._format.get("json_schema")) or {}
        return as_mapping(described.get("schema"))

    @property
    def tool_choice(self) -> ToolChoice:
        """What the request says of tools."""
        return tool_choice(self.body)

    @property
    def _format(self) -> Mapping[str, object]:
        return as_mapping(self.body.get("response_format")) or {}


def chat_question(provider: str, body: Mapping[str, object]) -> Question:
    """Check a chat request and read what an answer needs to know of it.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    required_model(body)
    check_chat(body)
    texts = [content_text(message.get("content")) for message in _messages(body)]
    check_json_mode(body, texts)
    return read_chat(provider, body)


def read_chat(provider: str, body: Mapping[str, object]) -> Question:
    """Read what an answer needs to know of a chat request that was checked, whatever its dialect.

    Args:
        provider: Name of the provider that was asked.
        body: OpenAI's chat request. The parts of a content may be those of another dialect.
    """
    messages = _messages(body)
    roles = [message.get("role") for message in messages]
    texts = [content_text(message.get("content")) for message in messages]
    asked = [text for text, role in zip(texts, roles, strict=True) if role == "user"]
    results = takewhile(lambda index: roles[index] == "tool", reversed(range(len(roles))))
    return Question(
        provider=provider,
        model=str(body["model"]),
        chat=True,
        body=body,
        text=asked[-1] if asked else "",
        prefill=texts[-1] if roles[-1] == "assistant" else "",
        results=tuple(reversed([texts[index] for index in results])),
        is_answered=roles[-1] != "user",
        prompt_words=sum(len(text.split()) for text in texts),
        audio_parts=sum(map(_audio_parts, messages)),
    )


def completion_question(provider: str, body: Mapping[str, object]) -> Question:
    """Check a plain completion request modestly.

    Raises:
        RefusedError: With a 400, if the model or the prompt is no text, or a field that shapes the
            answer is wrong.
    """
    model = required_model(body)
    prompt = body.get("prompt")
    one_of_many = as_sequence(prompt)
    if one_of_many is not None and len(one_of_many) == 1:
        prompt = one_of_many[0]
    if not isinstance(prompt, str):
        raise invalid("'prompt' must be one text.", "prompt")
    check_completion(body)
    return Question(
        provider=provider,
        model=model,
        chat=False,
        body=body,
        text=prompt,
        prefill="",
        results=(),
        is_answered=False,
        prompt_words=len(prompt.split()),
        audio_parts=0,
    )


def required_model(body: Mapping[str, object]) -> str:
    """Read the model name.

    Raises:
        RefusedError: With a 400, if it is no text or empty.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter", "model")
    return model


def content_text(content: object) -> str:
    """Read a message's text; parts that are no text are shown as their type in brackets."""
    if isinstance(content, str):
        return content
    parts = [as_mapping(part) or {} for part in as_sequence(content) or ()]
    return " ".join(_part_text(part) for part in parts)


def _messages(body: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [as_mapping(message) or {} for message in as_sequence(body["messages"]) or ()]


def _part_text(part: Mapping[str, object]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type')}]"


def _audio_parts(message: Mapping[str, object]) -> int:
    parts = as_sequence(message.get("content")) or ()
    return [(as_mapping(part) or {}).get("type") for part in parts].count("input_audio")
