"""A validated request to a text endpoint, and what an answer needs to know of it.

Knows OpenAI's request fields; does not know who answers or how the reply travels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from capability_router.lab.json_values import as_mapping, as_number, as_sequence
from capability_router.lab.refusals import invalid

__all__ = [
    "ForcedTool",
    "Question",
    "chat_question",
    "completion_question",
    "content_text",
    "required_model",
]


_TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class ForcedTool:
    """The function an answer has to call.

    Attributes:
        name: Name of the function.
        parameters: JSON schema of its arguments.
        by_name: True where the request named the function, False where it required any tool.
    """

    name: str
    parameters: Mapping[str, object]
    by_name: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks one provider.

    Attributes:
        provider: Name of the provider that was asked.
        model: Requested model name, which the answer repeats.
        chat: True for chat completions, False for plain completions.
        body: The whole request body.
        text: Last message of the user, or the prompt.
        prefill: Text of a last assistant message, which the answer continues; else empty.
        prompt_words: Words of the whole prompt, a rough token count.
    """

    provider: str
    model: str
    chat: bool
    body: Mapping[str, object]
    text: str
    prefill: str
    prompt_words: int

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
    def schema(self) -> Mapping[str, object] | None:
        """JSON schema the answer has to satisfy, ``{}`` for JSON mode, None for free text."""
        wanted = as_mapping(self.body.get("response_format")) or {}
        if wanted.get("type") == "json_object":
            return {"type": "object"}
        described = as_mapping(wanted.get("json_schema")) or {}
        return as_mapping(described.get("schema")) if wanted.get("type") == "json_schema" else None

    @property
    def forced_tool(self) -> ForcedTool | None:
        """The function the answer has to call, None where it may choose.

        Raises:
            RefusedError: If the request names a function it does not describe.
        """
        choice = self.body.get("tool_choice")
        named = as_mapping((as_mapping(choice) or {}).get("function"))
        functions = _functions(self.body.get("tools"))
        if named is not None:
            name = named.get("name")
            if not isinstance(name, str) or name not in functions:
                raise invalid(f"Tool choice {name!r} is not among the tools.", "tool_choice")
            return ForcedTool(name, functions[name], by_name=True)
        if choice != "required":
            return None
        if not functions:
            raise invalid("'tool_choice' is 'required' but there are no tools.", "tool_choice")
        name, parameters = next(iter(functions.items()))
        return ForcedTool(name, parameters, by_name=False)


def chat_question(provider: str, body: Mapping[str, object]) -> Question:
    """Check a chat request modestly.

    Raises:
        RefusedError: With a 400, if the model is no text, the messages are no list of messages, a
            token limit is below 1, or more than one choice is asked for.
    """
    model = required_model(body)
    messages = [as_mapping(message) for message in as_sequence(body.get("messages")) or ()]
    known = [message for message in messages if message and isinstance(message.get("role"), str)]
    if not known or len(known) < len(messages):
        raise invalid("'messages' must be a non-empty list of messages with a role.", "messages")
    _check_limits(body)
    texts = [content_text(message.get("content")) for message in known]
    asked = [text for text, message in zip(texts, known, strict=True) if message["role"] == "user"]
    return Question(
        provider=provider,
        model=model,
        chat=True,
        body=body,
        text=asked[-1] if asked else "",
        prefill=texts[-1] if known[-1]["role"] == "assistant" else "",
        prompt_words=sum(len(text.split()) for text in texts),
    )


def completion_question(provider: str, body: Mapping[str, object]) -> Question:
    """Check a plain completion request modestly.

    Raises:
        RefusedError: With a 400, if the model or the prompt is no text, a token limit is below 1,
            or more than one choice is asked for.
    """
    model = required_model(body)
    prompt = body.get("prompt")
    one_of_many = as_sequence(prompt)
    if one_of_many is not None and len(one_of_many) == 1:
        prompt = one_of_many[0]
    if not isinstance(prompt, str):
        raise invalid("'prompt' must be one text.", "prompt")
    _check_limits(body)
    return Question(
        provider=provider,
        model=model,
        chat=False,
        body=body,
        text=prompt,
        prefill="",
        prompt_words=len(prompt.split()),
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


def _part_text(part: Mapping[str, object]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type')}]"


def _functions(tools: object) -> dict[str, Mapping[str, object]]:
    described: Sequence[object] = as_sequence(tools) or ()
    functions: dict[str, Mapping[str, object]] = {}
    for tool in described:
        function = as_mapping((as_mapping(tool) or {}).get("function")) or {}
        name = function.get("name")
        if isinstance(name, str):
            functions[name] = as_mapping(function.get("parameters")) or {"type": "object"}
    return functions


def _check_limits(body: Mapping[str, object]) -> None:
    for field in _TOKEN_LIMITS:
        limit = body.get(field)
        if limit is not None and (
            isinstance(limit, bool) or not isinstance(limit, int) or limit < 1
        ):
            raise invalid(f"'{field}' must be a whole number of at least 1.", field)
    if body.get("n") not in (None, 1):
        raise invalid("The lab answers one choice: leave 'n' out or set it to 1.", "n")
