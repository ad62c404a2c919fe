"""What a call of LiteLLM asks of the router, and which of its arguments are the provider's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from litellm.exceptions import BadRequestError
from litellm.responses.utils import ResponsesAPIRequestUtils

from capability_router import CompletionRequest
from capability_router.requirements import has_side_effects, input_tokens_of, requirements_of

__all__ = ["Arguments", "request_of", "to_pass_on"]

Arguments = dict[str, Any]
"""Keyword arguments of one of LiteLLM's functions."""

OPTIONS = "capability_router"

_FIELDS = frozenset(
    {"pool", "prefers", "requires", "deadline_s", "session", "model", "side_effects"}
)

_ROUTINGS = frozenset(
    {
        OPTIONS,
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "disable_fallbacks",
        "fallbacks",
        "max_fallbacks",
        "model_group_retry_policy",
        "priority",
        "retry_policy",
        "specific_deployment",
    }
)
"""For LiteLLM's Router, whose place is taken; its functions would fall back by themselves."""

_WHERE_TO = (
    "api_base",
    "api_key",
    "azure_ad_token",
    "base_url",
    "client",
    "custom_llm_provider",
    "deployment_id",
    "litellm_credential_name",
    "mock_response",
    "organization",
)

_CREDENTIALS = frozenset(
    {
        "api-key",
        "authorization",
        "openai-organization",
        "openai-project",
        "x-api-key",
        "x-goog-api-key",
    }
)
"""Headers that would take the place of a deployment's own."""


def request_of(capability: str, arguments: Arguments) -> CompletionRequest:
    """Return what a call asks for.

    Args:
        capability: Path, short name or alias.
        arguments: Of LiteLLM's function; ``capability_router`` may hold a mapping with ``pool``,
            ``prefers``, ``requires``, ``deadline_s``, ``session``, ``model`` and
            ``side_effects``, which mean what they do in ``CompletionRequest``. Tools that a
            provider runs itself have side effects unless it says otherwise.

    Raises:
        litellm.BadRequestError: If the caller says where to send it, or asks for the impossible.
    """
    _check(capability, arguments)
    options = _options(capability, arguments)
    timeout = arguments.get("timeout")
    stated: dict[str, Any] = {
        "input_tokens": input_tokens_of(arguments),
        "output_tokens": _most_output(arguments),
        "timeout_s": timeout if isinstance(timeout, int | float) else None,
        "session": arguments.get("litellm_session_id") or arguments.get("prompt_cache_key"),
        "model": _answered_before(arguments),
        "side_effects": has_side_effects(arguments),
        **options,
        "requires": requirements_of(arguments) | frozenset(options.get("requires") or ()),
    }
    try:
        return CompletionRequest(capability, **stated)
    except (TypeError, ValueError) as error:
        raise _refused(capability, str(error)) from error


def _check(capability: str, arguments: Arguments) -> None:
    """Refuse what would reach a provider, or LiteLLM, in a form that does harm there."""
    for name in _WHERE_TO:
        # Every model of a capability may get the call: a key would go to strangers, and a wrong
        # one would be held against them.
        if arguments.get(name) is not None:
            raise _refused(capability, f"{name} is the deployment's, and cannot be given to a call")
    for name in ("headers", "extra_headers"):
        given = {str(header).lower() for header in _mapping(capability, arguments, name)}
        if given & _CREDENTIALS:
            told = min(given & _CREDENTIALS)
            raise _refused(capability, f"{told} is the deployment's, and no header of a call's")
    for name in ("metadata", "litellm_metadata", "stream_options", OPTIONS):
        _mapping(capability, arguments, name)
    if not isinstance(arguments.get("stream") or False, bool):
        raise _refused(capability, f"stream {arguments['stream']!r} must be true or false")
    timeout = arguments.get("timeout")
    if isinstance(timeout, int | float) and not timeout > 0:
        raise _refused(capability, f"timeout {timeout!r} must be above 0 seconds")


def _mapping(capability: str, arguments: Arguments, name: str) -> Mapping[str, Any]:
    given: object = arguments.get(name) or {}
    if not isinstance(given, Mapping):
        raise _refused(capability, f"{name} {given!r} must be a mapping")
    return cast("Mapping[str, Any]", given)


def to_pass_on(arguments: Arguments) -> Arguments:
    """Return the arguments without those that are about routing."""
    return {name: value for name, value in arguments.items() if name not in _ROUTINGS}


def _options(capability: str, arguments: Arguments) -> Mapping[str, Any]:
    options = _mapping(capability, arguments, OPTIONS)
    unknown = sorted(options.keys() - _FIELDS)
    if unknown:
        told = ", ".join(sorted(_FIELDS))
        raise _refused(capability, f"{OPTIONS} has no {unknown[0]!r}; there are: {told}")
    if isinstance(options.get("requires"), str):
        named = options["requires"]
        raise _refused(capability, f"requires {named!r} must be a list of features: [{named!r}]")
    if not isinstance(options.get("side_effects", False), bool):
        told = options["side_effects"]
        raise _refused(capability, f"side_effects {told!r} must be true or false")
    for name in ("pool", "session", "model"):
        if not isinstance(options.get(name) or "", str):
            raise _refused(capability, f"{name} {options[name]!r} must be a text")
    return options


def _most_output(arguments: Arguments) -> int:
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    stated = (arguments.get(name) for name in names)
    return next((number for number in stated if isinstance(number, int) and number > 0), 0)


def _answered_before(arguments: Arguments) -> str | None:
    """Return the model that keeps the conversation which a call goes on with."""
    previous = arguments.get("previous_response_id")
    if not isinstance(previous, str):
        return None
    return ResponsesAPIRequestUtils.get_model_id_from_response_id(previous)


def _refused(capability: str, message: str) -> BadRequestError:
    return BadRequestError(message, model=capability, llm_provider="capability")
