import logging
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from capability_router.observability.posting import Posting
from tests.receiving import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


class Sender:
    """Posts to a receiver, and notes the pauses instead of making them."""

    def __init__(
        self,
        url: str,
        *,
        hurried: bool = False,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        settings = {"max_attempts": 5, "base_delay_s": 1.0, "max_delay_s": 3.0, **options}
        self.posting = Posting(url, headers or {}, chance=Random(1), **settings)
        self.hurried = hurried
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return not self.hurried

    def post(self) -> str | None:
        try:
            return self.posting.post(b"{}", timeout_s=lambda: 10.0, pause=self.pause)
        finally:
            self.posting.close()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_body_that_may_be_taken_later_is_sent_again_as_the_same(
    receiver: Receiver, status: int
) -> None:
    receiver.answers.extend([(status, {})] * 2)
    sender = Sender(receiver.url)
    assert sender.post() is None
    keys = {headers["idempotency-key"] for _, headers in receiver.requests}
    assert (len(receiver.requests), len(keys), len(receiver.bodies)) == (3, 1, 1)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 413])
def test_body_that_will_not_be_taken_is_sent_once(receiver: Receiver, status: int) -> None:
    receiver.answers.append((status, {"location": f"{receiver.url}/elsewhere"}))
    sender = Sender(receiver.url)
    assert sender.post() == f"status {status}"
    assert (len(receiver.requests), sender.pauses) == (1, [])


def test_pauses_are_shares_of_a_delay_that_doubles_up_to_the_longest(receiver: Receiver) -> None:
    receiver.answers.extend([(503, {})] * 5)
    sender = Sender(receiver.url)
    assert sender.post() == "status 503"
    draws = Random(1)
    assert sender.pauses == [draws.random() * longest for longest in (1.0, 2.0, 3.0, 3.0)]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [({"retry-after": "7"}, 7.0), ({"retry-after-ms": "250"}, 0.25), ({"retry-after": "9e9"}, 300)],
)
def test_receiver_says_how_long_to_pause_within_reason(
    receiver: Receiver, headers: dict[str, str], pause: float
) -> None:
    receiver.answers.append((429, headers))
    sender = Sender(receiver.url)
    assert sender.post() is None
    assert sender.pauses == [pause]


def test_without_time_to_pause_there_is_one_more_request(receiver: Receiver) -> None:
    receiver.answers.extend([(503, {})] * 9)
    assert Sender(receiver.url, hurried=True).post() == "status 503"
    assert len(receiver.requests) == 2


def test_receiver_that_cannot_be_reached_is_tried_again_and_named_by_its_error(
    receiver: Receiver,
) -> None:
    with receiving() as gone:
        url = gone.url
    sender = Sender(url, max_attempts=3)
    assert sender.post() == "ConnectError"
    assert len(sender.pauses) == 2


def test_path_and_query_arrive_and_stand_in_no_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender(f"{receiver.url}/services/T0K3N?key=S3CR3T")
    with caplog.at_level(logging.DEBUG):
        assert sender.post() is None
    assert [path for path, _ in receiver.requests] == ["/services/T0K3N?key=S3CR3T"]
    assert "127.0.0.1" in caplog.text
    assert "T0K3N" not in caplog.text
    assert "S3CR3T" not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["", "ftp://host/x", "https:///x", "hooks/x", "http://[::1", "https://u:p@host/", "http://h:x"],
)
def test_address_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="url must begin with http") as refused:
        Sender(url)
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "naïve", "nul\0"])
def test_header_that_would_break_the_request_is_refused_without_its_value(value: str) -> None:
    with pytest.raises(ValueError, match=r"headers 'X-Key' must be ASCII") as refused:
        Sender("http://127.0.0.1/", headers={"X-Key": value})
    assert value not in str(refused.value)
