"""What is read from the bodies of errors, and what is not."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.error_bodies import error_body
from capability_router.failures import failure_of

BODY = {"error": {"message": "It's \u00e9 {long}", "type": "invalid", "code": "too_long"}}
NAMES = ["error", "code", "raw", "message"]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["error", "code", "raw"]), inner)
    ),
)


class StatusError(Exception):
    """Keeps the parsed body under the name that its library has for it."""

    def __init__(self, said: str = "words", **kept: Any) -> None:
        super().__init__(said)
        vars(self).update(kept)


@pytest.mark.parametrize(
    "error",
    [
        StatusError(body=BODY),
        StatusError(body=BODY["error"]),
        StatusError(details=BODY),
        StatusError(f"VendorException - {json.dumps(BODY)} and more"),
        StatusError(f"VendorException - {json.dumps(BODY, indent=2).encode()!r}"),
        StatusError(f"VendorException - {json.dumps(BODY, ensure_ascii=False).encode()!r}"),
        StatusError(body={"error": {"metadata": {"raw": json.dumps(BODY)}}}),
    ],
    ids=["body", "inner body", "details", "text", "bytes", "bytes of UTF-8", "passed on"],
)
def test_codes_and_words_are_found_wherever_a_library_keeps_them(error: StatusError) -> None:
    body = error_body(error, {})
    assert body is not None
    assert (set(body.codes), body.message) == ({"invalid", "too_long"}, "It's \u00e9 {long}")


def test_code_of_botocore_is_found() -> None:
    error = StatusError(response={"Error": {"Code": "ThrottlingException", "Message": "Slow"}})
    body = error_body(error, {})
    assert body is not None
    assert (body.codes, body.message) == (("ThrottlingException",), "Slow")


def test_code_of_aws_is_read_from_its_header_and_from_the_words_before_a_body() -> None:
    error = StatusError('modelStreamErrorException {"message": "It broke"}')
    body = error_body(error, {"x-amzn-errortype": "ValidationException:http://aws"})
    assert body is not None
    assert body.codes == ("ValidationException", "modelStreamErrorException")


def test_what_the_caller_sent_is_not_read_though_a_body_repeats_it() -> None:
    sent = {"code": "model_not_found", "message": "regain access"}
    body = error_body(StatusError(body={"detail": [{"msg": "Wrong", "input": sent}]}), {})
    assert body is not None
    assert (body.codes, body.message) == ((), "Wrong")


@pytest.mark.parametrize("said", ["", "words", "{", "{}", "b'{'", "b'\\x'", '{"error": {}}', "{1}"])
def test_words_without_a_body_have_none(said: str) -> None:
    assert error_body(StatusError(said), {}) is None


@given(JSON)
def test_whatever_a_body_holds_is_survived(held: object) -> None:
    error = StatusError(body={"error": held}, status_code=400, response=SimpleNamespace(headers={}))
    assert failure_of(error).status == 400


def test_body_that_is_nested_without_end_is_survived() -> None:
    assert error_body(StatusError('{"error": ' * 5000), {}) is None


def test_wait_in_a_body_is_read_unless_a_header_states_one() -> None:
    details = [{"@type": "RetryInfo", "retryDelay": "34s"}]
    error = StatusError(body={"error": {"message": "Slow", "details": details}}, status_code=429)
    assert failure_of(error, lambda _: {}).retry_after_s == 34.0
    assert failure_of(error, lambda _: {"retry-after": "3"}).retry_after_s == 3.0
