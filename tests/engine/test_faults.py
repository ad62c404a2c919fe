"""The fault table, and how a response finds its row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.engine.faults import FAULT_TABLE, FaultRule, Health, classify
from capability_router.engine.outcome import Failure, FailureKind, Outcome
from capability_router.engine.rotation import RotationPolicy
from tests.engine.building import Rig

# kind: what it does to health, whether another model may follow, whether a lone model is repeated.
ROWS = {
    "invalid_request": ("untouched", False, False),
    "context_overflow": ("untouched", True, False),
    "content_policy": ("untouched", False, False),
    "unsupported": ("untouched", True, False),
    "auth": ("provider", True, False),
    "forbidden": ("model", True, False),
    "billing": ("provider", True, False),
    "quota_exhausted": ("provider", True, False),
    "not_found": ("model", True, False),
    "rate_limited": ("model", True, False),
    "overloaded": ("counts", True, True),
    "server_error": ("counts", True, True),
    "timeout": ("counts", True, False),
    "stalled": ("counts", True, False),
    "connection": ("counts", True, True),
    "protocol": ("counts", True, False),
    "cancelled": ("untouched", False, False),
}


@pytest.mark.parametrize("kind", FailureKind)
def test_every_row_of_the_table_is_the_documented_one(kind: FailureKind) -> None:
    rule = FAULT_TABLE[kind]
    assert (rule.health, rule.next_model, rule.repeatable) == ROWS[kind]


def test_table_has_a_row_for_every_kind_and_cannot_be_written() -> None:
    assert set(FAULT_TABLE) == set(FailureKind) == set(ROWS)
    with pytest.raises(TypeError):
        FAULT_TABLE[FailureKind.AUTH] = FaultRule(Health.COUNTS)  # type: ignore[index]  # on purpose


@pytest.mark.parametrize("kind", FailureKind)
def test_first_failure_of_each_kind_does_to_health_what_its_row_says(kind: FailureKind) -> None:
    rig = Rig("a/x", "a/y", "b/z")
    assert rig.fail(kind) == "a/x"
    counted, away = {
        "untouched": (0, []),
        "counts": (1, []),
        "model": (0, ["a/x"]),
        "provider": (0, ["a/x", "a/y"]),
    }[ROWS[kind][0]]
    assert rig.router.state("a/x").consecutive_failures == counted
    assert rig.standby() == away
    assert rig.router.state("a/x").failures == 1


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (400, "", "invalid_request"),
        (413, "", "invalid_request"),
        (422, "", "invalid_request"),
        (405, "", "invalid_request"),
        (418, "", "invalid_request"),
        (400, "context_length_exceeded This model's maximum context length is", "context_overflow"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "context_overflow"),
        (413, "the request exceeds the available context size", "context_overflow"),
        (422, "Input is too long for requested model", "context_overflow"),
        (400, "CONTENT_POLICY_violation", "content_policy"),
        (400, "Your request was rejected by our safety system", "content_policy"),
        (400, "content_filter: the response was filtered", "content_policy"),
        (401, "", "auth"),
        (403, "", "forbidden"),
        (403, "model_not_found: you do not have access to model gpt-9", "not_found"),
        (403, "This model requires moderation: your input was flagged", "content_policy"),
        (429, "You exceeded your current quota. Please retry in 27.5s.", "rate_limited"),
        (402, "", "billing"),
        (429, "insufficient_quota", "quota_exhausted"),
        (429, "You exceeded your current quota, please check your plan", "quota_exhausted"),
        (403, "Quota exhausted for this project", "quota_exhausted"),
        (400, "Your credit balance is too low to access the API", "quota_exhausted"),
        (400, "You will regain access on 2031-02-01 at 00:00 UTC", "quota_exhausted"),
        (429, "organization_spend_limit_exceeded", "quota_exhausted"),
        (429, "'error_code': 'enforced_spend_limit_reached'", "quota_exhausted"),
        (404, "", "not_found"),
        (404, "Previous response with id 'resp_1' not found.", "invalid_request"),
        (408, "", "timeout"),
        (409, "", "overloaded"),
        (429, "", "rate_limited"),
        (429, "maximum context length", "rate_limited"),
        (500, "", "server_error"),
        (500, "context_length_exceeded", "server_error"),
        (502, "", "server_error"),
        (503, "", "overloaded"),
        (504, "", "server_error"),
        (529, "", "overloaded"),
        (None, "", "connection"),
        (None, "context_length_exceeded", "connection"),
    ],
)
def test_status_decides_first_and_the_wording_second(
    status: int | None, text: str, kind: str
) -> None:
    assert classify(status, text).kind == kind


@pytest.mark.parametrize(
    ("status", "codes", "kind"),
    [
        (400, ["INVALID_ARGUMENT", "API_KEY_INVALID"], "auth"),
        (400, ["invalid_request_error", "model_decommissioned"], "not_found"),
        (400, ["invalid_request_error", "unsupported_parameter"], "unsupported"),
        (400, ["billing_hard_limit_reached"], "billing"),
        (404, ["previous_response_not_found"], "invalid_request"),
        (422, ["extra_forbidden"], "unsupported"),
        (424, ["ModelErrorException"], "overloaded"),
        (424, [], "invalid_request"),
        (429, ["ModelNotReadyException"], "overloaded"),
        (403, ["ExpiredTokenException"], "auth"),
        (401, ["model_not_found"], "auth"),
        (498, [], "overloaded"),
    ],
)
def test_code_of_the_body_decides_within_its_statuses(
    status: int, codes: list[str], kind: str
) -> None:
    assert classify(status, "words", codes=codes).kind == kind


def test_code_outweighs_the_words() -> None:
    said = "maximum context length"
    assert classify(400, said, codes=["invalid_value"]).kind == "invalid_request"
    assert classify(400, said, codes=["model_not_found"]).kind == "not_found"
    assert classify(400, said, codes=["not a code of ours"]).kind == "context_overflow"


# What users may write, and vendors repeat.
PHRASES = [
    "API key not valid",
    "Billing hard limit has been reached",
    "Your credit balance is too low",
    "You will regain access on 2031-02-01",
    "The provided model identifier is invalid",
    "Invalid model: x",
    "maximum context length",
    "content management policy",
    "this model does not support tools",
]


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_what_a_message_quotes_decides_nothing(phrase: str, quote: str) -> None:
    said = f"The user's value {quote}{phrase}{quote} isn't one of the model's."
    assert classify(400, phrase, codes=[]).kind != "invalid_request"
    assert classify(400, said, codes=[]).kind == "invalid_request"


@pytest.mark.parametrize("phrase", PHRASES)
def test_words_that_a_message_repeats_without_quotes_harm_no_model(phrase: str) -> None:
    kind = classify(400, f"Unexpected text in messages: {phrase}", codes=[]).kind
    assert FAULT_TABLE[kind].health is Health.UNTOUCHED


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("retry in 27.5s", 27.5),
        ("Try again in 80ms", 0.08),
        ("Please try again in 7m12s.", 432.0),
        ("try again in 1h2m3.5s", 3723.5),
        ("Please retry after 26 seconds.", 26.0),
        ("retry after 2 minutes 5 sec", 125.0),
        ("retry in 5 months", None),
        ("retry in 12345678901s", None),
    ],
)
def test_wait_that_only_the_text_states_is_read(text: str, seconds: float | None) -> None:
    assert classify(429, text).retry_after_s == seconds
    assert classify(429, text, retry_after_s=3.0).retry_after_s == 3.0


@pytest.mark.parametrize(
    ("status", "text", "kind", "wait_s"),
    [
        (429, "", "rate_limited", 60.0),
        (429, "insufficient_quota", "quota_exhausted", 60.0),
        (403, "Quota exhausted for this project", "quota_exhausted", 60.0),
        (400, "You will regain access on 2031-02-01", "quota_exhausted", 60.0),
        (402, "", "billing", 60.0),
        (429, "You exceeded your current quota. Please retry in 27.5s.", "rate_limited", 27.5),
        (400, "", "invalid_request", None),
        (401, "", "auth", None),
        (403, "", "forbidden", None),
        (503, "", "overloaded", None),
        (None, "", "connection", None),
    ],
)
def test_renewal_of_a_limit_is_the_wait_after_a_limit_and_decides_no_kind(
    status: int | None, text: str, kind: str, wait_s: float | None
) -> None:
    failure = classify(status, text, resets_after_s=60.0)
    assert (failure.kind, failure.retry_after_s) == (kind, wait_s)


def test_wait_that_was_asked_for_wins_over_the_renewal_of_a_limit() -> None:
    assert classify(429, retry_after_s=3.0, resets_after_s=60.0).retry_after_s == 3.0


@given(st.integers(400, 499), st.text(max_size=20))
def test_no_client_error_is_ever_the_servers_fault(status: int, text: str) -> None:
    assert classify(status, text).kind is not FailureKind.SERVER_ERROR


@given(st.integers(500, 599), st.text(max_size=20))
def test_every_server_error_counts_and_moves_on(status: int, text: str) -> None:
    rule = FAULT_TABLE[classify(status, text).kind]
    assert (rule.health, rule.next_model) == (Health.COUNTS, True)


def test_failure_keeps_what_it_was_made_from_and_cuts_long_words() -> None:
    error = RuntimeError("x")
    failure = classify(429, "y" * 1000, retry_after_s=3.0, error=error)
    assert failure == Failure(FailureKind.RATE_LIMITED, 429, 3.0, "y" * 300)
    assert failure.error is error


def test_provider_text_and_error_stay_out_of_the_failures_repr() -> None:
    assert "secret" not in repr(classify(500, error=RuntimeError("secret")))


def test_replaced_row_is_obeyed() -> None:
    faults = {**FAULT_TABLE, FailureKind.SERVER_ERROR: FaultRule(Health.PROVIDER)}
    rig = Rig("a/x", "a/y", "b/z", faults=faults, policy=RotationPolicy(max_ejected=1.0))
    rig.fail(FailureKind.SERVER_ERROR)
    assert rig.standby() == ["a/x", "a/y"]
    assert rig.events[-1].reason == "error_threshold"
    assert rig.router.rule(FailureKind.SERVER_ERROR).health is Health.PROVIDER


def test_replaced_row_may_make_a_fault_harmless() -> None:
    faults = {**FAULT_TABLE, FailureKind.RATE_LIMITED: FaultRule(Health.UNTOUCHED)}
    rig = Rig("a/x", faults=faults)
    rig.router.report(rig.select(), Outcome.failed(FailureKind.RATE_LIMITED, retry_after_s=60.0))
    assert rig.active() == ["a/x"]
