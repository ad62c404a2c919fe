"""What counts as a whole answer, whichever client library it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from capability_router import AllModelsFailedError, Model
from capability_router.completeness import breaks_off, check_complete
from capability_router.engine.errors import IncompleteAnswerError
from tests.engine.building import Rig

SAID = {"role": "assistant", "content": "Fine."}
SPENT = {"prompt_tokens": 3, "completion_tokens": 0}
NO_OUTPUT = {"input_tokens": 3, "output_tokens": 0}


def completion(reason: object = "stop", message: object = SAID, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"object": "chat.completion", "choices": [choice], **more}


def text(reason: object = "stop", said: str = "Fine.") -> dict[str, Any]:
    return {"object": "text_completion", "choices": [{"text": said, "finish_reason": reason}]}


def message(**more: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": "Fine."}]
    told = {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
    return {**told, **more}


def response(**more: Any) -> dict[str, Any]:
    return {"object": "response", "status": "completed", "output": [{"type": "message"}], **more}


def vectors(*each: object) -> dict[str, Any]:
    data = [{"index": place, "embedding": vector} for place, vector in enumerate(each)]
    return {"object": "list", "data": data, "usage": {"prompt_tokens": 3}}


def pictures(*each: dict[str, Any]) -> dict[str, Any]:
    return {"created": 1, "data": list(each)}


def without(name: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != name}


WHOLE: dict[str, Any] = {
    "completion": completion(),
    "completion at its limit": completion("length"),
    "completion that was filtered": completion("content_filter", {"content": None}),
    "call of a tool": completion("tool_calls", {"content": None, "tool_calls": [{}]}),
    "stop beside a tool": completion("stop", {"content": None, "tool_calls": [{}]}),
    "reason nobody knows": completion("eos"),
    "silence for a token": completion("stop", {"content": ""}, usage={"completion_tokens": 1}),
    "text": text(),
    "message": message(),
    "message at its limit": message(stop_reason="max_tokens", content=[], usage=NO_OUTPUT),
    "message that is silent": message(content=[], usage={"output_tokens": 2}),
    "response": response(),
    "response at its limit": response(status="incomplete", output=[]),
    "response under way in the background": response(status="queued", background=True, output=[]),
    "vectors": vectors([0.1], [0.2]),
    "vectors in base64": vectors("aGk="),
    "picture": pictures({"b64_json": "aGk="}),
    "address of a picture": pictures({"url": "http://127.0.0.1/a.png"}),
    "list of models": {"object": "list", "data": []},
    "choices of a quiz": {"choices": [{"text": "a lion"}, "a cat"]},
    "no choice in a quiz": {"choices": []},
    "rows": {"data": [], "created": 1, "object": "table"},
    "plain text": "Fine.",
    "nothing": None,
}
NONE: dict[str, Any] = {
    "completion without a reason": completion(None),
    "completion with an empty reason": completion(""),
    "completion that ended with an error": completion("error"),
    "completion that a server gave up": completion("insufficient_system_resource"),
    "completion whose reason is missing": {"choices": [{"message": SAID}]},
    "completion without choices": completion() | {"choices": []},
    "completion whose choices are missing": {"object": "chat.completion"},
    "second choice without a reason": {
        "choices": [*completion()["choices"], *completion(None)["choices"]]
    },
    "completion that holds nothing": completion("stop", {"content": ""}),
    "completion of no token": completion("stop", {"content": None}, usage=SPENT),
    "text without a reason": text(None),
    "text that holds nothing": text(said=""),
    "message without a reason": message(stop_reason=None),
    "message whose reason is missing": without("stop_reason", message()),
    "message that holds nothing": message(content=[], usage=NO_OUTPUT),
    "response that failed": response(status="failed"),
    "response that was cancelled": response(status="cancelled"),
    "response under way": response(status="in_progress"),
    "response without a status": response(status=None),
    "response that holds nothing": response(output=[], usage=NO_OUTPUT),
    "no vectors": vectors(),
    "empty vector": vectors([0.1], []),
    "missing vector": vectors(None),
    "no pictures": pictures(),
    "words in the place of a picture": pictures({"revised_prompt": "a sun"}),
}


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(each) for name, each in value.items()})
    return [as_object(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", [dict, as_object], ids=["mapping", "object"])
@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
def test_whole_answer_is_one_in_either_form(answer: Any, form: Any) -> None:
    check_complete(form(answer) if isinstance(answer, dict) else answer)


@pytest.mark.parametrize("form", [dict, as_object], ids=["mapping", "object"])
@pytest.mark.parametrize("answer", NONE.values(), ids=NONE)
def test_answer_that_says_it_is_none_is_none_in_either_form(answer: Any, form: Any) -> None:
    with pytest.raises(IncompleteAnswerError):
        check_complete(form(answer))


@pytest.mark.parametrize("reason", ["stop", "length", "MAX_TOKENS", "tool_use", "SAFETY", "OTHER"])
def test_reason_that_a_model_came_to_ends_an_answer(reason: str) -> None:
    assert not breaks_off(reason)


@pytest.mark.parametrize("reason", [None, "", "error", "ERROR", "FINISH_REASON_UNSPECIFIED"])
def test_reason_that_is_none_or_an_error_does_not(reason: str | None) -> None:
    assert breaks_off(reason)


def test_plain_call_goes_on_to_the_next_model_where_an_answer_is_none() -> None:
    rig = Rig(Model("a/x", ("chat-completion",)), Model("b/x", ("chat-completion",)))
    answers = {"a/x": completion(None), "b/x": completion()}
    answer = rig.router.call("chat-completion", lambda model: answers[model.id])
    assert answer is answers["b/x"]
    kinds = [attempt.kind for attempt in rig.router.decisions[-1].attempts]
    assert kinds == ["protocol", None]


def test_plain_call_has_failed_where_no_answer_is_whole() -> None:
    rig = Rig(Model("a/x", ("text-embeddings",)))
    with pytest.raises(AllModelsFailedError):
        rig.router.call("text-embeddings", lambda model: vectors())
    assert rig.router.state("a/x").consecutive_failures >= 1
