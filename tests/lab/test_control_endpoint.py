"""Switching faults from outside, and who may."""

from collections.abc import Iterator

import httpx
import pytest

from capability_router.lab import Lab, ok, quota, rate_limited, refused, server_error
from capability_router.lab.serving import serve
from tests.lab.asking import post


@pytest.fixture
def controlled() -> Iterator[Lab]:
    with Lab(["alpha", "beta"], answers="echo", control_port=0) as lab:
        yield lab


def test_overview_shows_every_provider(controlled: Lab, raw: httpx.Client) -> None:
    controlled["alpha"].fault = rate_limited(2)
    controlled["alpha"].script(server_error())
    controlled["alpha"].quota = quota(5)
    post(raw, controlled["beta"])
    alpha, beta = raw.get(f"{controlled.control_url}/").json()["providers"]
    assert alpha == {
        "name": "alpha",
        "base_url": controlled["alpha"].base_url,
        "listening": True,
        "fault": {"kind": "rate_limited", "retry_after": 2},
        "script": [{"kind": "server_error"}],
        "quota": {"requests": 5, "resets_after": None},
        "prefill": "continue",
        "request_count": 0,
    }
    assert (beta["fault"], beta["request_count"]) == ({"kind": "ok"}, 1)


def test_fault_is_set_and_healed(controlled: Lab, raw: httpx.Client) -> None:
    target = f"{controlled.control_url}/providers/alpha"
    shown = raw.put(f"{target}/fault", json={"kind": "rate_limited", "retry_after": 2})
    assert shown.json()["fault"] == {"kind": "rate_limited", "retry_after": 2}
    assert post(raw, controlled["alpha"]).headers["retry-after"] == "2"
    raw.post(f"{target}/heal")
    assert controlled["alpha"].fault == ok()


def test_provider_is_stopped_and_started(controlled: Lab, raw: httpx.Client) -> None:
    target = f"{controlled.control_url}/providers/alpha"
    assert raw.post(f"{target}/stop").json()["listening"] is False
    assert controlled["alpha"].fault == refused()
    assert raw.post(f"{target}/start").json()["listening"] is True
    assert post(raw, controlled["alpha"]).status_code == 200


def test_quota_is_set_and_lifted(controlled: Lab, raw: httpx.Client) -> None:
    target = f"{controlled.control_url}/providers/alpha/quota"
    raw.put(target, json={"requests": 3, "resets_after": 60})
    assert controlled["alpha"].quota == quota(3, resets_after=60)
    raw.put(target, content="null")
    assert controlled["alpha"].quota is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("PUT", "alpha/fault", {"kind": "hangs"}, 400, "did you mean 'hang'"),
        ("PUT", "alpha/fault", [], 400, "JSON object"),
        ("PUT", "alpha/quota", {"requests": -1}, 400, "requests"),
        ("PUT", "alpha/stop", {}, 400, "POST stop"),
        ("POST", "alpha/explode", {}, 400, "POST stop"),
        ("POST", "delta/stop", {}, 404, "only alpha, beta"),
        ("POST", "alpha", {}, 404, "nothing"),
    ],
)
def test_wrong_command_is_refused_with_what_is_allowed(
    controlled: Lab,
    raw: httpx.Client,
    method: str,
    path: str,
    body: object,
    status: int,
    said: str,
) -> None:
    url = f"{controlled.control_url}/providers/{path}"
    response = raw.request(method, url, json=body)
    assert response.status_code == status
    assert said in response.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:80"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_web_pages_cannot_use_it(
    controlled: Lab, raw: httpx.Client, headers: dict[str, str]
) -> None:
    url = f"{controlled.control_url}/providers/alpha/stop"
    assert raw.post(url, headers=headers).status_code == 403
    assert controlled["alpha"].is_listening


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST:80"])
def test_local_names_can_use_it(controlled: Lab, raw: httpx.Client, host: str) -> None:
    response = raw.get(f"{controlled.control_url}/", headers={"host": host})
    assert response.status_code == 200


def test_lab_without_a_control_port_has_no_control_endpoint(provider_lab: Lab) -> None:
    assert provider_lab.control_url is None


def test_serve_announces_what_works_and_stops_when_interrupted(raw: httpx.Client) -> None:
    said: list[str] = []
    answered: list[int] = []

    def interrupt() -> None:
        url = said[0].removeprefix("alpha: ")
        answered.append(raw.get(f"{url}/models").status_code)
        raise KeyboardInterrupt

    serve(["alpha", "beta"], [], "echo", 0, said.append, wait=interrupt)
    assert answered == [200]
    assert said[1].startswith("beta: http://127.0.0.1:")
    assert any("curl -X PUT http://127.0.0.1:" in line for line in said)
    with pytest.raises(httpx.ConnectError):
        raw.get(said[0].removeprefix("alpha: "))
