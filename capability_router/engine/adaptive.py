"""Selection by experience: who served well serves most, the others are tried now and then.

Keeps what it learns with the model, by node of the tree, so that every pool and every kind of
request draws on it. Knows no tree: the path of a node tells what is above it.
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heapify, heappop, heappush, heapreplace
from math import inf, sqrt
from random import Random

from capability_router.engine.averages import FadingMean
from capability_router.engine.faults import FAULT_TABLE, Health
from capability_router.engine.member import Member
from capability_router.engine.outcome import Outcome
from capability_router.engine.request import CompletionRequest
from capability_router.engine.state import Experience, ModelState

__all__ = ["Adaptive"]

_INHERITED = 4.0
"""Observations that what is known at the node above counts for at first; as many as the interval
of Agresti and Coull adds ("Approximate is better than exact", 1998). Soon outweighed by a few
outcomes of the node itself."""

_UNBLAMED = frozenset(kind for kind, rule in FAULT_TABLE.items() if rule.health is Health.UNTOUCHED)
"""Failures that say nothing about the model, by the default fault table."""

_FEW, _MANY = 4, 100
"""Up to so few members another is drawn with each request, for one stale draw is much; up to so
many with every other, and beyond with each fourth: few of them are ever near the best."""
_LAPS = 4
"""Turns of a member for which it forgets at once: its score is drawn anew at each, but forgetting
and working out what it is drawn from takes as long again."""

_STALE = 64
"""Entries that may be stale besides one for each member, before all of them are taken out."""


class Adaptive:
    """The member with the best draw: success first, then latency and cost (Thompson sampling).

    For each member stands a score that was drawn from what is known of it: the more outcomes, the
    closer the draws are to their mean, and the less is known, the likelier is a lucky draw that
    lets it be tried. The highest score serves (Thompson 1933; Chapelle and Li, "An empirical
    evaluation of Thompson sampling", 2011).

    A score is drawn as ``success - latency_weight * slow - cost_weight * dear``:

    - ``success`` from the posterior of its share of good outcomes: a Beta distribution that
      begins uniform, and of which mean and spread are kept. The draw is made as if it were
      normal, by a sum of three uniform draws.
    - ``slow`` is ``t / (t + mean)`` for its mean latency ``t`` and that of all answers to this
      kind of request: 0 for an instant answer, 0.5 at the mean, near 1 if far slower.
    - ``dear`` is the same of the mean cost of an answer, compared with the mean of those that
      cost anything; 1 for a model without a price.

    Until a model has answered, ``slow`` and ``dear`` are 0, in favour of trying it. Compared with
    a mean, one model that is far faster or dearer than all others does not make these look alike,
    as it would if it were the measure. To subtract cost from quality by what one is willing to
    pay for it is how RouterBench ranks routers (Hu et al. 2024).

    Older outcomes count less, by ``1 - 1/memory`` for each later one: that is discounted Thompson
    sampling (Raj and Kalyani, "Taming non-stationary bandits", 2017), which follows models that
    change. A member that is not asked forgets as much with each of its turns, see below, so that
    it is asked again some day, however badly it did.

    What an outcome shows counts at its node and at all nodes above. A node at which a model has
    no outcomes yet starts from what is known at the node above, as a few observations. The node
    of a strategy is that of the first outcome reported to it; until then it goes by what is known
    at the topmost node of each model.

    Not every score is drawn for every request, which would cost more with every member. Whoever
    is chosen is drawn anew at once, and one other in turn. So a lucky draw serves one request and
    no more, an unlucky one lasts until the next turn, and each score is at all times a draw from
    a posterior that is at most as many requests old as there are members. Thompson sampling bears
    such delays, as it bears outcomes that are still in flight (Chapelle and Li; Kalkanli and
    Özgür, "Asymptotic performance of Thompson sampling in the batched multi-armed bandits", 2021).

    Args:
        rng: Source of chance for the draws.
        latency_weight: What latency counts, >= 0: a model that takes twice the mean has to succeed
            ``latency_weight / 6`` more often than one that takes the mean. Default 0.4, which is
            7 points in a hundred; our own choice.
        cost_weight: What cost counts, >= 0, likewise. Default 0.2; our own choice, lower because
            users wait for each answer and look at the bill once a month.
        memory: Outcomes after which an older one counts 1/e, >= 2. Default 100: a success rate is
            known to some 3 points in a hundred, and a model that begins to fail is left within
            tens of requests.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        rng: Random,
        *,
        latency_weight: float = 0.4,
        cost_weight: float = 0.2,
        memory: int = 100,
    ) -> None:
        if not (0 <= latency_weight < inf and 0 <= cost_weight < inf):
            raise ValueError(
                f"latency_weight {latency_weight} and cost_weight {cost_weight} must be 0 or more"
            )
        if memory < 2:
            raise ValueError(f"memory {memory} must be at least 2 outcomes")
        self._random = rng.random
        self._latency_weight = latency_weight
        self._cost_weight = cost_weight
        self._kept = 1 - 1 / memory
        self._kept_idle = self._kept**_LAPS
        self._node = ""
        self._latency_s = FadingMean(memory)
        self._cost_usd = FadingMean(memory)
        self._arms: dict[str, _Arm] = {}
        # The same without gaps, to take turns in, and the requests until the next turn.
        self._pause = 0
        self._turns: list[_Arm] = []
        self._turn = self._lap = 0
        self._undrawn: list[_Arm] = []
        # Highest score first. An entry whose number is not its arm's any more is stale: taking it
        # out at once would mean to search for it.
        self._scores: list[tuple[float, int, _Arm]] = []
        self._drawn = 0

    def admit(self, member: Member) -> None:
        """Take in a member that became active."""
        arm = _Arm(member, len(self._turns))
        self._arms[member.model.id] = arm
        self._turns.append(arm)
        self._undrawn.append(arm)

    def withdraw(self, member: Member) -> None:
        """Drop a member that is active no more; what was learnt stays with its model."""
        arm = self._arms.pop(member.model.id)
        arm.number = _Arm.GONE
        last = self._turns.pop()
        if last is not arm:
            self._turns[arm.place] = last
            last.place = arm.place

    def choose(
        self, request: CompletionRequest, tried: Collection[str], now: float
    ) -> Member | None:
        """Return the member with the highest score that is not tried."""
        if self._undrawn:
            self._draw_first()
        scores = self._scores
        while scores:
            _, number, arm = scores[0]
            if number == arm.number:
                if arm.member.model.id in tried:
                    return self._passing_over(tried)
                return arm.member
            heappop(scores)
        return None

    def chosen(self, member: Member, tried: Collection[str], now: float) -> None:
        """Draw anew for the member, and for another in turn; of more, now and then."""
        served = self._arms[member.model.id]
        self._draw(served)
        turns = self._turns
        if self._pause:
            self._pause -= 1
            return
        self._pause = 0 if len(turns) <= _FEW else 1 if len(turns) <= _MANY else 3
        self._turn += 1
        if self._turn >= len(turns):
            self._turn, self._lap = 0, (self._lap + 1) % _LAPS
        other = turns[self._turn]
        if other is not served:
            if self._lap == 0:
                self._fade(other)
            self._draw(other)

    def score(self, member: Member, request: CompletionRequest, now: float) -> float | None:
        """Return what a member is compared by: the score drawn for it, the highest first."""
        arm = self._arms.get(member.model.id)
        return arm.score if arm and arm.number else None

    def learn(self, member: Member, node: str, outcome: Outcome, latency_s: float) -> None:
        """Note how an attempt ended, at its node and above.

        Args:
            member: Who was asked.
            node: Full path of the node it was asked at.
            outcome: The end of the attempt; a failure for which the model is not to blame says
                nothing.
            latency_s: Seconds the attempt took, >= 0.
        """
        failure = outcome.failure
        if failure is not None and failure.kind in _UNBLAMED:
            return
        if not self._node:
            self._settle(node)
        experience = _experience_at(member.state, node)
        if failure is not None:
            _note_failure(experience, self._kept)
        else:
            cost = member.model.cost_usd(outcome.usage)
            _note_answer(experience, self._kept, latency_s, cost)
            self._latency_s.note(latency_s)
            if cost:
                self._cost_usd.note(cost)
        arm = self._arms.get(member.model.id)
        if arm is not None:
            self._look_at(arm)

    def _settle(self, node: str) -> None:
        """Go by what is known at a node from now on."""
        self._node = node
        self._undrawn = list(self._turns)

    def _draw_first(self) -> None:
        for arm in self._undrawn:
            if arm.number != _Arm.GONE:
                arm.experience = None
                self._look_at(arm)
                self._draw(arm)
        self._undrawn.clear()

    def _passing_over(self, tried: Collection[str]) -> Member | None:
        """The highest score that is not tried, found below those that are."""
        passed: list[tuple[float, int, _Arm]] = []
        found: Member | None = None
        while self._scores and found is None:
            entry = heappop(self._scores)
            if entry[1] == entry[2].number:
                passed.append(entry)
                member = entry[2].member
                found = None if member.model.id in tried else member
        for entry in passed:
            heappush(self._scores, entry)
        return found

    def _draw(self, arm: _Arm) -> None:
        """Draw a score from what is known of a member, in the place of its old one."""
        random = self._random
        # Of mean 0 and deviation 1, as normal as is needed, in a third of the time of ``gauss``.
        noise = 2 * (random() + random() + random()) - 3
        self._drawn = arm.number = number = self._drawn + 1
        arm.score = arm.mean + arm.spread * noise
        entry = (-arm.score, number, arm)
        scores = self._scores
        if scores and scores[0][2] is arm:
            heapreplace(scores, entry)
            return
        heappush(scores, entry)
        if len(scores) > 2 * len(self._turns) + _STALE:
            self._scores = [entry for entry in scores if entry[1] == entry[2].number]
            heapify(self._scores)

    def _fade(self, arm: _Arm) -> None:
        """Let what is known of a member count less, and look at it again."""
        experience = arm.experience
        if experience is not None:
            experience.succeeded *= self._kept_idle
            experience.failed *= self._kept_idle
        self._look_at(arm)

    def _look_at(self, arm: _Arm) -> None:
        """Work out mean and spread of a member's score."""
        experience = arm.experience
        if experience is None:
            state = arm.member.state
            if state.experience is not None:
                node = self._node or min(arm.member.places, key=_depth)
                experience = arm.experience = _experience_at(state, node)
            else:
                experience = _NOTHING
        succeeded = experience.succeeded + 1
        observed = succeeded + experience.failed + 1
        share = succeeded / observed
        arm.spread = sqrt(share * (1 - share) / (observed + 1))
        latency, cost = experience.latency_s, experience.cost_usd
        slow = latency / (latency + self._latency_s.mean) if latency else 0.0
        dear = cost / (cost + self._cost_usd.mean) if cost else arm.dear
        arm.mean = share - self._latency_weight * slow - self._cost_weight * dear


class _Arm:
    """A member with mean and spread of its score; ``number`` is that of its last draw."""

    __slots__ = ("dear", "experience", "mean", "member", "number", "place", "score", "spread")

    GONE = -1

    def __init__(self, member: Member, place: int) -> None:
        self.member = member
        self.place = place
        # What its cost counts while none is known.
        self.dear = 1.0 if member.model.price is None else 0.0
        self.number = 0
        # At the strategy's node; None while nothing is known of the model at any.
        self.experience: Experience | None = None
        self.mean = self.spread = self.score = 0.0


def _depth(path: str) -> tuple[int, str]:
    return path.count("."), path


def _experience_at(state: ModelState, node: str) -> Experience:
    """Return what is known of a model at a node; it starts from what is known above."""
    if state.experience is None:
        state.experience = {}
    found = state.experience.get(node)
    if found is None:
        parent = node.rpartition(".")[0]
        found = _inherited(_experience_at(state, parent)) if parent else Experience()
        state.experience[node] = found
    return found


def _inherited(above: Experience) -> Experience:
    share = min(1.0, _INHERITED / (above.succeeded + above.failed or 1.0))
    return Experience(
        above.succeeded * share, above.failed * share, above.latency_s, above.cost_usd, above
    )


def _note_answer(
    experience: Experience | None, kept: float, latency_s: float, cost_usd: float
) -> None:
    while experience is not None:
        experience.failed *= kept
        experience.succeeded = weight = experience.succeeded * kept + 1
        experience.latency_s += (latency_s - experience.latency_s) / weight
        experience.cost_usd += (cost_usd - experience.cost_usd) / weight
        experience = experience.above


def _note_failure(experience: Experience | None, kept: float) -> None:
    while experience is not None:
        experience.succeeded *= kept
        experience.failed = experience.failed * kept + 1
        experience = experience.above


_NOTHING = Experience()
