"""What a configuration says of shared state, and how strict its limits are."""

import pytest

from capability_router.config import loads
from capability_router.engine.blueprint import StateSpec

ENVIRON = {"PASSWORD": "canary-p%40ss", "STORE": "redis://:canary@host:6379/1"}


def state_of(written: str) -> StateSpec | None:
    return loads(f"state: {written}", environ=ENVIRON).state


def told(written: str) -> tuple[str, str]:
    state = state_of(written)
    assert state is not None
    return state.url.reveal(), state.namespace


@pytest.mark.parametrize("text", ["{}", "state: memory://", "state: {url: 'memory://'}"])
def test_nothing_is_shared_by_default(text: str) -> None:
    assert loads(text).state is None


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///state.db",
        "sqlite:////var/lib/my app/state#1.db",
        "redis://localhost",
        "redis://me@localhost:6379/0?protocol=3",
        "rediss://localhost:6379/0?ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock?db=1",
        "valkey://localhost",
        "valkeys://[::1]:6379",
        "redis+cluster://h1:7000,h2:7001",
        "rediss+cluster://h1:7000",
        "redis+sentinel://h1:26379,h2:26379/mymaster/0",
        "rediss+sentinel://h1:26379/mymaster",
    ],
)
def test_a_store_is_named_by_its_address(address: str) -> None:
    assert told(f"'{address}'") == (address, "default")
    assert told(f"{{url: '{address}'}}") == (address, "default")


def test_a_server_may_be_shared_by_several_under_their_own_names() -> None:
    assert told("{url: 'redis://h', namespace: team-a.chat_1}") == ("redis://h", "team-a.chat_1")


@pytest.mark.parametrize(
    ("written", "stands_for"),
    [
        ("'${env:STORE}'", "redis://:canary@host:6379/1"),
        ("'redis://:${env:PASSWORD}@host'", "redis://:canary-p%40ss@host"),
        ("'rediss://me:${env:PASSWORD}@host/0'", "rediss://me:canary-p%40ss@host/0"),
        (
            "'redis+sentinel://h/m?sentinel_password=${env:PASSWORD}'",
            "redis+sentinel://h/m?sentinel_password=canary-p%40ss",
        ),
    ],
)
def test_what_is_secret_of_an_address_comes_from_elsewhere_and_is_never_shown(
    written: str, stands_for: str
) -> None:
    assert told(written)[0] == stands_for
    assert "canary" not in repr(state_of(written))
    assert "canary" not in repr(loads(f"state: {written}", environ=ENVIRON))


def test_limits_are_strict_where_the_section_says_so() -> None:
    blueprint = loads(
        """\
providers:
  a: {limits: {requests: [30/minute, 500/hour], strict: true}, quota: {requests: 1000/day}}
  b: {limits: {requests: 30/minute}, quota: {usd: 20, tokens: 5/month, strict: true}}
"""
    )
    strict = {
        (provider.id, str(limit)): limit.strict
        for provider in blueprint.providers
        for limit in provider.limits
    }
    assert [name for name, is_strict in strict.items() if is_strict] == [
        ("a", "30 requests in 1 min"),
        ("a", "500 requests in 1 h"),
        *[name for name in strict if name[0] == "b" and "requests" not in name[1]],
    ]
    assert list(strict.values()) == [True, True, False, False, True, True]
