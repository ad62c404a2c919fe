"""What a provider says is shown without keys, and without what a terminal obeys."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router import Failure, FailureKind, Model, Outcome, Provider, Secret
from capability_router.credentials import without_key
from capability_router.engine.faults import classify
from capability_router.engine.untrusted import escaped, shown, without
from capability_router.failures import failure_of

KEYS = {
    "OpenAI": "sk-proj-aB3dE5fG7hI9jK1lM3nO5pQ7",
    "Anthropic": "sk-ant-api03-aB3dE5fG7hI9jK1lM",
    "Groq": "gsk_aB3dE5fG7hI9jK1lM3nO5pQ7",
    "Google": "AIzaSyA1bC3dE5fG7hI9jK1lM3nO5pQ",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "Hugging Face": "hf_aB3dE5fG7hI9jK1lM3nO5pQ7",
    "xAI": "xai-aB3dE5fG7hI9jK1lM3nO5pQ7",
    "signed token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
}
PLAIN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
"""A key without a prefix, as Azure's and Mistral's are."""

SENTENCES = (
    "Incorrect API key provided: {}. You can find your key at https://example.org/keys.",
    "{{'error': {{'message': 'Invalid key={}'}}}} for url https://host/v1?alt=sse&key={}",
    'headers: {{"Authorization": "Bearer {}"}}',
    "Authorization: Bearer {}",
    "x-api-key: {}\nhost: h",
    "api_key={}&x=1",
)


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("key", [pytest.param(key, id=name) for name, key in KEYS.items()])
def test_key_with_a_vendors_prefix_is_hidden_wherever_it_stands(sentence: str, key: str) -> None:
    text = shown(sentence.format(key, key))
    assert key[8:] not in text
    assert "***" in text


@pytest.mark.parametrize(
    "sentence",
    [
        "Incorrect API key provided: {}.",
        "https://host/v1?key={}",
        '{{"api_key": "{}"}}',
        "Authorization: Bearer {}",
        "invalid bearer {}",
        "https://user:{}@host/v1",
        "password={}",
    ],
)
def test_plain_key_is_hidden_where_it_is_called_one(sentence: str) -> None:
    assert PLAIN[4:] not in shown(sentence.format(PLAIN))


@pytest.mark.parametrize(
    "sentence",
    [
        "The model `gpt-4o` does not exist or you do not have access to it.",
        "Rate limit reached for gpt-4o in organization org-123 on tokens per min: Limit 30000",
        "maximum context length is 8192 tokens: 9000 in the messages, 20 in the completion",
        "Request id: req_011CSHoEeqs5C35K2UUqR7Fy; see https://docs.example.org/errors?id=3",
        "the secret ingredient is patience, and a token of it",
    ],
)
def test_sentence_without_a_key_is_left(sentence: str) -> None:
    assert shown(sentence) == sentence


NASTY = {
    "colour": "\x1b[31mred\x1b[0m",
    "title of the window": "\x1b]0;owned\x07",
    "clear screen": "\x1b[2J\x9b2J",
    "line of its own": "bad\nINFO router: all is well\r\n",
    "backwards": "\u202eevil\u202c\u2066x\u2069",
    "nothing to see": "\u200b\u200f\ufeff",
    "line separators": "a\u2028b\u2029c\x0b\x0c\x85",
    "half a character": "\ud800",
    "null": "\x00",
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in NASTY.items()])
@pytest.mark.parametrize(
    "failure",
    [
        lambda text: failure_of(RefusedError(text)),
        lambda text: failure_of(RuntimeError(text)),
        lambda text: classify(500, text),
        lambda text: Failure(FailureKind.SERVER_ERROR, message=text),
    ],
)
def test_words_of_a_provider_do_nothing_to_a_terminal(
    failure: Callable[[str], Failure], text: str
) -> None:
    found = failure(f"says {text} here").message
    assert found.isprintable()
    assert found.startswith("says ")
    assert found.endswith(" here")


class RefusedError(Exception):
    """An error with a body, as client libraries raise it."""

    status_code = 503
    response = None

    def __init__(self, message: str) -> None:
        super().__init__("refused")
        self.body = {"error": {"message": message}}


def test_escapes_can_be_read() -> None:
    assert escaped("a\x1b[31mé\n\u202e") == r"a\x1b[31mé\n\u202e"


@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_whatever_is_shown_is_printable_and_short_and_may_be_shown_again(text: str) -> None:
    once = shown(text)
    assert (once.isprintable(), len(once) <= 300) == (True, True)
    assert shown(once).isprintable()


@given(st.text("skAIza-_eyJ.:=&?@/ bearerBASIC0123456789", max_size=4000))
def test_long_text_of_half_keys_is_read_in_one_go(text: str) -> None:
    assert len(shown(text * 3)) <= 300


def test_text_is_cut_after_it_was_cleaned() -> None:
    key = KEYS["OpenAI"]
    for before in range(260, 300):
        assert "sk-" not in shown("x" * before + " " + key)


def test_known_key_is_hidden_whatever_it_looks_like() -> None:
    assert without(f"what is {PLAIN}?", PLAIN) == "what is ***?"


@pytest.mark.parametrize("length", [4, 10, 31])
def test_beginning_of_a_known_key_at_the_end_is_hidden(length: int) -> None:
    assert without(f"what is {PLAIN[:length]}", PLAIN) == "what is ***"


def test_text_that_is_too_short_for_a_key_is_part_of_any_sentence() -> None:
    assert without("any model", "any") == "any model"


def test_failure_does_not_quote_the_key_of_its_provider() -> None:
    outcome = Outcome(Failure(FailureKind.AUTH, 401, message=f"what is {PLAIN}?"))
    found = without_key(outcome, Provider("a", api_key=Secret(PLAIN))).failure
    assert found is not None
    assert (found.message, found.status) == ("what is ***?", 401)


def test_address_of_a_provider_is_shown_without_what_it_hides() -> None:
    address = f"https://user:{PLAIN}@host:8000/v1?subscription={PLAIN}"
    told = repr(Provider("a", base_url=address))
    assert "base_url='https://***@host:8000/v1?***'" in told
    assert PLAIN not in f"{told}{Model('a/m', ('chat-completion',))!r}"
