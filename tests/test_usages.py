"""What an answer says of its tokens, whichever client library it comes from."""

from types import SimpleNamespace

import pytest

from capability_router.engine.limits import Limit, Unit
from capability_router.engine.model import Model
from capability_router.engine.outcome import Usage
from capability_router.usages import usage_of
from tests.engine.building import Rig


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        ("plain text", Usage()),
        (None, Usage()),
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 7}}, Usage(5, 7)),
        (SimpleNamespace(usage=SimpleNamespace(input_tokens=5, output_tokens=7)), Usage(5, 7)),
        (SimpleNamespace(usage={"prompt_tokens": 5, "total_tokens": 5}), Usage(5, 0)),
        (SimpleNamespace(usage=None), Usage()),
        ({"usage": {"prompt_tokens": "many", "completion_tokens": -1}}, Usage()),
        ({"usage": "much"}, Usage()),
    ],
)
def test_usage_is_read_by_the_names_that_client_libraries_agree_on(
    answer: object, usage: Usage
) -> None:
    assert usage_of(answer) == usage


def test_plain_calls_settle_limits_by_what_their_answers_say() -> None:
    limit = Limit(Unit.TOKENS, 1000, window_s=60.0)
    rig = Rig(Model("a/x", ("chat-completion",), limits=(limit,)))
    answer = {"usage": {"prompt_tokens": 300, "completion_tokens": 100}}
    assert rig.router.call("chat-completion", lambda model: answer) is answer
    (forecast,) = rig.router.pool("chat-completion").forecast()
    assert forecast.taken == 400
    assert rig.router.state("a/x").output_tokens == 100
