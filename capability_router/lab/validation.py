"""Which chat requests are served: fields, types and ranges as OpenAI's API has them.

Null stands for a field that is left out, as OpenAI-compatible servers have it. What OpenAI serves
and the lab does not is refused, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from capability_router.lab.json_values import as_mapping
from capability_router.lab.refusals import invalid
from capability_router.lab.validation_messages import check_messages
from capability_router.lab.validation_tools import (
    check_response_format,
    check_tool_choice,
    check_tools,
)
from capability_router.lab.validation_values import (
    Check,
    array,
    boolean,
    check_fields,
    check_values,
    decimal,
    filled,
    one_of,
    structure,
    text,
    whole,
)

__all__ = [
    "check_chat",
    "check_completion",
    "check_json_mode",
]


def check_chat(body: Mapping[str, object]) -> None:
    """Check a chat request.

    Args:
        body: Has a model, which is checked elsewhere for all endpoints.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_fields(body, _FIELDS, _UNSERVED, needed=["messages"])
    _check_relations(body)
    check_tool_choice(body)


def check_completion(body: Mapping[str, object]) -> None:
    """Check the fields of a plain completion that the answer depends on.

    Raises:
        RefusedError: With a 400 that names the field to blame.
    """
    check_values(body, {field: _FIELDS[field] for field in _COMPLETION_FIELDS})


def check_json_mode(body: Mapping[str, object], texts: Iterable[str]) -> None:
    """Check that the messages speak of JSON where the answer is to be any JSON object.

    Args:
        body: Checked by :func:`check_chat`.
        texts: What the messages say.

    Raises:
        RefusedError: With a 400 that names the messages.
    """
    wanted = as_mapping(body.get("response_format")) or {}
    if wanted.get("type") == "json_object" and not any("json" in text.lower() for text in texts):
        raise invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of"
            " type 'json_object'.",
            "messages",
        )


def _check_relations(body: Mapping[str, object]) -> None:
    for field, (other, state) in _ONLY_WITH.items():
        if body.get(field) is not None and not body.get(other):
            message = f"The '{field}' parameter is only allowed when '{other}' is {state}."
            raise invalid(message, field)
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )


def _check_stop(value: object, place: str) -> None:
    if isinstance(value, str) or value == []:
        return
    for index, stop in enumerate(array(value, place, longest=4)):
        text(stop, f"{place}[{index}]")


def _check_stream_options(value: object, place: str) -> None:
    for name, option in structure(value, place).items():
        if name not in {"include_usage", "include_obfuscation"}:
            at = f"{place}.{name}"
            raise invalid(f"Unknown parameter: '{at}'.", at, "unknown_parameter")
        boolean(option, f"{place}.{name}")


def _check_logit_bias(value: object, place: str) -> None:
    for token, bias in structure(value, place).items():
        decimal(-100, 100)(bias, f"{place}.{token}")


def _check_metadata(value: object, place: str) -> None:
    for name, entry in structure(value, place).items():
        text(entry, f"{place}.{name}")


def _check_modalities(value: object, place: str) -> None:
    for index, modality in enumerate(array(value, place)):
        one_of("text")(modality, f"{place}[{index}]")


def _check_choices(value: object, place: str) -> None:
    whole(1)(value, place)
    if value != 1:
        raise invalid("The lab answers one choice: leave 'n' out or set it to 1.", place)


_FIELDS: Mapping[str, Check] = {
    "model": text,
    "messages": check_messages,
    "frequency_penalty": decimal(-2, 2),
    "logit_bias": _check_logit_bias,
    "logprobs": boolean,
    "max_completion_tokens": whole(1),
    "max_tokens": whole(1),
    "metadata": _check_metadata,
    "modalities": _check_modalities,
    "n": _check_choices,
    "parallel_tool_calls": boolean,
    "presence_penalty": decimal(-2, 2),
    "prompt_cache_key": text,
    "prompt_cache_options": structure,
    "prompt_cache_retention": one_of("in_memory", "24h"),
    "reasoning_effort": one_of("none", "minimal", "low", "medium", "high", "xhigh"),
    "response_format": check_response_format,
    "safety_identifier": filled(64),
    "seed": whole(-(2**63), 2**63 - 1),
    "service_tier": one_of("auto", "default", "flex", "scale", "priority", "fast"),
    "stop": _check_stop,
    "store": boolean,
    "stream": boolean,
    "stream_options": _check_stream_options,
    "temperature": decimal(0, 2),
    # Any form: which one is right depends on the tools.
    "tool_choice": lambda value, place: value,
    "tools": check_tools,
    "top_logprobs": whole(0, 20),
    "top_p": decimal(0, 1),
    "user": text,
    "verbosity": one_of("low", "medium", "high"),
}

_COMPLETION_FIELDS = ("max_tokens", "n", "stop", "stream", "stream_options", "temperature", "top_p")

_UNSERVED: Mapping[str, str] = {
    "audio": "it answers in text",
    "function_call": "use 'tool_choice'",
    "functions": "use 'tools'",
    "moderation": "ask its endpoint for moderations",
    "prediction": "leave it out",
    "web_search_options": "it has no web",
}

_ONLY_WITH: Mapping[str, tuple[str, str]] = {
    "parallel_tool_calls": ("tools", "specified"),
    "stream_options": ("stream", "enabled"),
    "top_logprobs": ("logprobs", "enabled"),
}
