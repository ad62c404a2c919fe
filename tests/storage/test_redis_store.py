"""What the store on Redis or Valkey does beyond what every store does."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from capability_router.storage.redis_store import RedisStore
from capability_router.storage.store import Draw, Exchange, Write

Open = Callable[[], RedisStore]


def test_amounts_are_exact_up_to_sixteen_digits(open_store: Open) -> None:
    store = open_store()
    most = 2**53
    first = store.exchange(Exchange("a", draws=[Draw("spend", most, used={0: 3}, want=most)]))
    second = store.exchange(Exchange("b", draws=[Draw("spend", most, want=most)]))
    assert first.shares[0].held == most - 3
    assert (second.shares[0].used, second.shares[0].reserved) == (3, most - 3)


def test_weight_and_expiry_come_back_to_the_last_digit(open_store: Open) -> None:
    here, there = open_store(), open_store()
    there.listen(0)
    expires_at = here.exchange(Exchange("a")).now + 1e5 / 3
    write = Write("x", '"y"', weight=1 / 3, expires_at=expires_at)
    endless = Write("z", "{}", weight=inf)
    written = here.exchange(Exchange("a", writes=[write, endless])).written
    assert (written[0].weight, written[0].expires_at) == (1 / 3, expires_at)
    assert (written[1].weight, written[1].expires_at) == (inf, inf)
    (news,) = there.listen(30)
    assert news.entries == written
    entries = there.exchange(Exchange("b", snapshot=True)).entries
    assert entries is not None
    assert set(entries) == set(written)
