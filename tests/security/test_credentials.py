"""A key that was rotated is read again when the provider refuses the old one."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from capability_router import Provider, Secret
from capability_router.credentials import Credentials
from capability_router.engine.errors import ConfigurationError, Problem
from capability_router.testing.clock import ManualClock


class Vault:
    """Where keys are kept, with how often it was asked."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.asked = 0

    def read(self) -> Secret:
        self.asked += 1
        return Secret(self.key)


class Rig:
    """The credentials of two providers, one of which has its key in a vault."""

    def __init__(self, read: Callable[[], Secret] | None = None) -> None:
        self.clock, self.vault = ManualClock(now=100.0), Vault("old")
        self.used: list[tuple[str, str]] = []
        self.credentials = Credentials(self.clock, self.use)
        self.read = read or self.vault.read
        self.follow("old")

    def use(self, provider: str, key: Secret) -> None:
        self.used.append((provider, key.reveal()))

    def follow(self, key: str) -> None:
        providers = [Provider("a", api_key=Secret(key)), Provider("b", api_key=Secret("plain"))]
        self.credentials.follow({"a": self.read}, providers)

    def refused(self, provider: str = "a", *, after_s: float = 1.0) -> bool:
        """Let an attempt begin now and be refused some time later."""
        began_at = self.clock.now()
        self.clock.advance(after_s)
        return self.credentials.refresh(provider, began_at)


def test_key_is_only_read_when_it_was_refused() -> None:
    rig = Rig()
    rig.clock.advance(3600)
    assert rig.vault.asked == 0
    assert not rig.refused()
    assert rig.vault.asked == 1


def test_key_that_has_changed_is_used_from_then_on() -> None:
    rig = Rig()
    rig.vault.key = "new"
    assert rig.refused()
    assert rig.used == [("a", "new")]


def test_key_that_is_the_same_changes_nothing() -> None:
    rig = Rig()
    assert not rig.refused()
    assert rig.used == []


def test_key_that_is_kept_nowhere_else_is_not_ours_to_read() -> None:
    rig = Rig()
    assert [rig.refused("b"), rig.refused("unknown"), rig.vault.asked] == [False, False, 0]


def test_key_is_read_once_in_two_seconds_however_often_it_is_refused() -> None:
    rig = Rig()
    assert [rig.refused(after_s=0.5) for _ in range(3)] == [False] * 3
    rig.vault.key = "new"
    assert not rig.refused(after_s=0.9), "too early to look again"
    assert rig.refused(after_s=0.2)
    assert rig.vault.asked == 2


def test_attempts_that_had_the_old_key_are_excused_without_another_reading() -> None:
    rig = Rig()
    began_at = rig.clock.now()
    rig.vault.key = "new"
    assert rig.refused()
    assert [rig.credentials.refresh("a", began_at) for _ in range(3)] == [True] * 3
    assert rig.vault.asked == 1


def test_new_key_that_is_refused_as_well_is_the_providers_word() -> None:
    rig = Rig()
    rig.vault.key = "new"
    assert [rig.refused(), rig.refused()] == [True, False]


def test_a_thousand_requests_that_fail_at_once_read_the_key_once() -> None:
    rig, threads = Rig(), 50
    rig.vault.key, barrier = "new", Barrier(threads)
    began_at = rig.clock.now()
    rig.clock.advance(1)

    def fail(_: int) -> list[bool]:
        barrier.wait()
        return [rig.credentials.refresh("a", began_at) for _ in range(20)]

    with ThreadPoolExecutor(threads) as pool:
        results = [changed for found in pool.map(fail, range(threads)) for changed in found]
    assert (len(results), set(results), rig.vault.asked) == (1000, {True}, 1)
    assert rig.used == [("a", "new")]


def test_a_key_that_cannot_be_read_is_logged_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    def gone() -> Secret:
        raise ConfigurationError([Problem("the file '/run/a' cannot be read", "providers.a")])

    rig = Rig(gone)
    assert not rig.refused()
    assert rig.used == []
    assert "'a' cannot be read again: <string>: providers.a: the file '/run/a'" in caplog.text


def test_neither_key_is_in_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    rig = Rig()
    rig.vault.key = "sk-canary-new"
    assert rig.refused()
    assert "provider 'a' was refused" in caplog.text
    assert "canary" not in caplog.text


def test_attempts_of_before_a_reload_with_another_key_are_excused() -> None:
    rig = Rig()
    began_at = rig.clock.now()
    rig.clock.advance(1)
    rig.vault.key = "configured"
    rig.follow("configured")
    assert rig.credentials.refresh("a", began_at)
    assert not rig.refused()


def test_reload_with_the_same_key_still_knows_who_had_the_old_one() -> None:
    rig = Rig()
    began_at = rig.clock.now()
    rig.vault.key = "new"
    assert rig.refused()
    rig.follow("new")
    assert rig.credentials.refresh("a", began_at)


def test_key_that_comes_and_goes_is_followed() -> None:
    keys: Iterator[str] = iter(["new", "new", "newest"])
    rig = Rig(lambda: Secret(next(keys)))
    assert [rig.refused(after_s=3) for _ in range(3)] == [True, False, True]
    assert rig.used == [("a", "new"), ("a", "newest")]
