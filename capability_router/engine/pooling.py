"""A pool as its router uses it: picks, and what follows from outcomes.

Each method is one step; the caller holds the guard, around several pools at once where need be,
and hands out the events after it. Knows no call and no other pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from copy import deepcopy

from capability_router.engine.chance import draws_of
from capability_router.engine.choice import Why
from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.evidence import Evidence, sights
from capability_router.engine.faults import FaultRule
from capability_router.engine.lease import Lease
from capability_router.engine.ledger import Reservation, give_back
from capability_router.engine.member import Member, Order, Standby
from capability_router.engine.model import Model
from capability_router.engine.outcome import Failure, Outcome
from capability_router.engine.pool_members import PoolMembers
from capability_router.engine.preferring import preferred
from capability_router.engine.request import CompletionRequest
from capability_router.engine.rotation import RotationPolicy
from capability_router.engine.selection import SelectionStrategy
from capability_router.engine.statistics import Statistics

__all__ = ["RoutedPool"]


class RoutedPool(PoolMembers):
    """The steps that a router takes on a pool; ``CapabilityPool`` tells of the arguments."""

    def pick(
        self,
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
        *,
        trial_first: bool = True,
        trials: bool = True,
    ) -> Lease | None:
        """Hand out a model, or None if none can serve.

        A trial that is due goes first in a fresh call, because somebody has to take it; in a
        call that has already failed once it comes last, so that nobody pays for two.

        Args:
            request: What is asked for.
            node: Full path of the node; only models at or under it serve.
            tried: Ids of models that failed in this call before.
            now: Monotonic seconds.
            trial_first: False to let a trial that is due come last in a fresh call as well,
                because somebody else takes it.
            trials: False to hand out active models only.
        """
        roster, trial_first = self._roster, trial_first and not tried
        self._draws.clear()
        if now >= roster.next_at or now >= self._agenda.next_at:
            self._timetable.run(now)
            if trial_first and (lease := self._try_first(request, node, now)):
                return lease
        if self._till.meters and not self._till.is_open(now):
            return None
        strategy = self._lanes.lane(node, request)
        avoid = roster.avoiding(tried, now) if roster.spared else tried
        member = None if self._throttles else strategy.choose(request, avoid, now)
        reserved: Reservation | None = ()
        if member is not None and (member.meters or self._till.meters):
            reserved = self._till.reserve(member, request, now)
        if member is None or reserved is None:
            found = self.rationing.affordable(strategy, request, avoid, tried, now)
            if found is None:
                if trial_first or not trials:
                    return None
                due = preferred(roster.due(now, node), request.prefers)
                return self._try_one(due, request, node, tried, now)
            member, reserved = found
        evidence = self.evidence(request, node, tried, now, member, Why.STRATEGY, strategy)
        noted = False
        try:
            strategy.chosen(member, avoid, now)
            noted = True
        finally:
            if not noted:
                # A strategy may be somebody else's code: what it breaks must not stay taken.
                give_back(reserved, now)
        return self._hand_out(Lease(member, self, request, node, now, strategy, reserved, evidence))

    def pick_early(
        self, request: CompletionRequest, node: str, tried: Collection[str], now: float
    ) -> Lease | None:
        """Hand out a model before its time that left for errors, because nobody else is left."""
        early = preferred(self._roster.early(now), request.prefers)
        lease = self._try_one(early, request, node, tried, now, needs_permit=False)
        if lease is not None:
            # Also of one whose time has come, where another process has the permit to try it.
            lease.panic = True
        return lease

    def pick_model(
        self, model_id: str, request: CompletionRequest, node: str, now: float
    ) -> Lease | None:
        """Hand out this model and no other; None if it cannot serve, or its trial is not due."""
        member = self._roster.members.get(model_id)
        if member is None or member.model.lacks(request) is not None:
            return None
        if member.state.is_full:
            return None
        self._timetable.run(now)
        if member.standby is not None:
            due = (each for each in self._roster.due(now) if each is member)
            return self._try_one(due, request, node, (), now)
        reserved = self._till.reserve(member, request, now) if self._till.is_open(now) else None
        if reserved is None:
            return None
        evidence = self.evidence(request, node, (), now, member, Why.AGAIN)
        return self._hand_out(Lease(member, self, request, node, now, None, reserved, evidence))

    def evidence(
        self,
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
        chosen: Member | None,
        why: Why,
        strategy: SelectionStrategy | None = None,
    ) -> Evidence:
        """Note why a member was chosen, or that nobody could be; ``Evidence`` tells the rest."""
        members = self._roster.members
        return Evidence(
            now,
            self.name,
            node,
            self._terms,
            request,
            tried,
            chosen.model.id if chosen else None,
            why,
            sights(members, node, chosen, strategy, request, now),
            len(members),
            tuple(self._draws) if strategy else (),
        )

    def peek(
        self,
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
        *,
        trial_first: bool = True,
    ) -> Evidence | None:
        """Return what ``pick`` would note, and hand nobody out; None if nobody can serve.

        That a request passes over throttled models by chance is left out.
        """
        self._timetable.run(now)
        if self._till.closed_until > now:
            return None
        may = (m for m in self._roster.due(now, node) if self._has_permit(m, now))
        due = [*preferred(may, request.prefers)]
        fits = next((m for m in due if self._fits(m, request, node, tried, now)), None)
        if fits is not None and trial_first and not tried and not request.prefers:
            return self.evidence(request, node, tried, now, fits, Why.TRIAL)
        rng = deepcopy(self._world.rng)
        strategy = self._lanes.copy(node, request, rng)
        for avoid in (self._roster.avoiding(tried, now), tried):
            member = self._peek_active(strategy, request, avoid, now)
            if member is not None:
                first = self._goes_first(fits, member, request) and trial_first and not tried
                why, member = (Why.TRIAL, fits) if first else (Why.STRATEGY, member)
                self._draws[:] = draws_of(rng)
                return self.evidence(request, node, tried, now, member, why, strategy)
        if fits is None:
            return None
        return self.evidence(request, node, tried, now, fits, Why.TRIAL)

    def peek_early(
        self, request: CompletionRequest, node: str, tried: Collection[str], now: float
    ) -> Evidence | None:
        """Return what ``pick_early`` would note, and hand nobody out."""
        early = preferred(self._roster.early(now), request.prefers)
        fits = next((m for m in early if self._fits(m, request, node, tried, now)), None)
        if fits is None:
            return None
        return self.evidence(request, node, tried, now, fits, Why.PANIC)

    def catch_up(self, now: float) -> None:
        """Do what the clock demands: who has come back by now is active."""
        self._timetable.run(now)

    def statistics(self, now: float) -> Statistics:
        """Return what was done in the pool since it was made."""
        return Statistics.of(
            self.tally,
            requests=self._total_requests,
            downtime_s=self._roster.downtime.total_s(now),
            standbys=self._roster.standbys,
        )

    def due_trials(self, now: float) -> list[Model]:
        """Return the models whose trial is due."""
        self._timetable.run(now)
        return [member.model for member in self._roster.due(now)]

    def failed(
        self, model: Model, failure: Failure, rule: FaultRule, trial: Standby | None, now: float
    ) -> Order | None:
        """Judge a failure of a member; return the order to leave, where there is one."""
        member = self._roster.members.get(model.id)
        if member is None:
            return None
        return self._rotator.failed(member, failure, rule, trial, now)

    def succeeded(
        self, model: Model, trial: Standby | None, outcome: Outcome, latency_s: float, now: float
    ) -> None:
        """Lift what a success on trial, here (``trial``) or elsewhere, has disproved."""
        member = self._roster.members.get(model.id)
        if member is not None:
            self._rotator.succeeded(member, trial, outcome, latency_s, now)

    def room_changed(self, model: Model) -> None:
        """Take note that a model is full, or is so no more."""
        member = self._roster.members.get(model.id)
        if member is not None:
            self._roster.room_changed(member)

    def trial_returned(self, member: Member, trial: Standby, now: float) -> None:
        """Note that a trial ended without a result: it is due as it was before."""
        if self._roster.members.get(member.model.id) is member:
            self._rotator.trial_returned(member, trial, now)

    def provider_failed(self, provider: str, order: Order, now: float) -> None:
        """Send away every member of a provider as one of its models was."""
        for member in self._roster.of_provider(provider):
            self._rotator.send_away(member, order, now)

    def provider_recovered(self, provider: str, now: float) -> None:
        """Take back every member that had left because of its provider."""
        for member in list(self._roster.gone_with(provider)):
            self._rotator.provider_recovered(member, now)

    def ejected(self, provider: str) -> set[str]:
        """Return the ids of a provider's models that are on standby for errors."""
        gone = (member.model for member, _ in self._roster.ejected_members())
        return {model.id for model in gone if model.provider == provider}

    def begin_call(self) -> RotationPolicy:
        """Note that a call begins, of which there may be a share of repetitions."""
        self._calls += 1
        return self.rotation_policy

    def may_repeat(self, now: float) -> bool:
        """Take one repetition of the same model from the pool's budget, if one is left."""
        was_exhausted = self._retries.is_exhausted
        granted = self._retries.withdraw(self._calls, now)
        if not granted and not was_exhausted:
            self._outbox.append(RoutingEvent(EventType.BUDGET_EXHAUSTED, self.name, "", now))
        return granted

    def _try_first(self, request: CompletionRequest, node: str, now: float) -> Lease | None:
        """Put a member on trial in a fresh call, unless one that is preferred more can serve."""
        due: Iterable[Member] = self._roster.due(now, node)
        if request.prefers:
            avoid = self._roster.avoiding((), now)
            serving = self._lanes.lane(node, request).choose(request, avoid, now)
            due = preferred(due, request.prefers, serving)
        return self._try_one(due, request, node, (), now)

    def _goes_first(self, due: Member | None, serving: Member, request: CompletionRequest) -> bool:
        """Whether a trial that is due goes before one that would serve."""
        return due is not None and due in preferred([due], request.prefers, serving)

    def _peek_active(
        self,
        strategy: SelectionStrategy,
        request: CompletionRequest,
        avoid: Collection[str],
        now: float,
    ) -> Member | None:
        """Return whom a strategy puts first of those whose limits have enough left."""
        out = dict.fromkeys(avoid)
        while (member := strategy.choose(request, out, now)) is not None:
            if not self._till.shortage(member, request, now):
                return member
            out[member.model.id] = None
        return None

    def _has_permit(self, member: Member, now: float) -> bool:
        return self._permits.has((self.name, member.model.id), now)

    def _fits(
        self,
        member: Member,
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
    ) -> bool:
        """Whether a member on standby could serve a request, limits and all."""
        here = node in member.places and member.model.lacks(request) is None
        free = member.model.id not in tried and not member.state.is_full
        return here and free and not self._till.shortage(member, request, now)

    def _try_one(
        self,
        members: Iterable[Member],
        request: CompletionRequest,
        node: str,
        tried: Collection[str],
        now: float,
        *,
        needs_permit: bool = True,
    ) -> Lease | None:
        """Put the first of some standby members on trial that fits, may, and can afford it."""
        short: list[Member] = []
        lease = None
        for member in members:
            fits = node in member.places and member.model.lacks(request) is None
            free = member.model.id not in tried and not member.state.is_full
            if not (fits and free and self._till.is_open(now)):
                continue
            if needs_permit and not self._permits.ask_for((self.name, member.model.id), now):
                continue
            reserved = self._till.reserve(member, request, now)
            if reserved is not None:
                evidence = self.evidence(request, node, tried, now, member, Why.TRIAL)
                trial = self._roster.start_trial(member, now)
                lease = Lease(member, self, request, node, now, None, reserved, evidence, trial)
                break
            short.append(member)
        for member in short:
            self.rationing.hold(member, now)
        return lease and self._hand_out(lease)

    def _hand_out(self, lease: Lease) -> Lease:
        self._total_requests += 1
        return lease
