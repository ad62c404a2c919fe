"""What a notebook shows of each class.

State is told by a sign and a word, so that it does not hang on either. What is long is cut, and
what was left out is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from itertools import islice

from capability_router.display.blocks import Branch, Page, Table
from capability_router.engine.choice import Choice, Standing
from capability_router.engine.decision import Decision
from capability_router.engine.model import Model
from capability_router.engine.outcome import Attempt
from capability_router.engine.pool import CapabilityPool
from capability_router.engine.router import Router
from capability_router.engine.state import StandbyState
from capability_router.engine.statistics import RouterStatistics, Statistics
from capability_router.engine.timing import spell
from capability_router.engine.tree import CapabilityNode, CapabilityTree

__all__ = ["MOST_NODES", "MOST_ROWS", "standing", "view"]

MOST_ROWS = 50
"""Rows of a table; as many as a screen or two can hold."""

_SIGNS = {
    Standing.ACTIVE: "● active",
    Standing.STANDBY: "○ standby",
    Standing.ON_TRIAL: "◐ on trial",
}

MOST_NODES = 200
"""Nodes of a tree; the default one is shown whole."""


@singledispatch
def view(item: object) -> Page:
    """Return how a notebook shows something; what has no view of its own is its text."""
    return Page(str(item))


@view.register
def _(tree: CapabilityTree) -> Page:
    kept = {node.path for node in islice(tree, MOST_NODES)}
    return Page(
        "",
        tuple(_branch(tree, top, kept) for top in tree.list_categories() if top.path in kept),
        omitted=len(tree) - len(kept),
    )


def _branch(tree: CapabilityTree, node: CapabilityNode, kept: set[str]) -> Branch:
    below = (tree.get_node(path) for path in node.children if path in kept)
    return Branch(node.name, tuple(_branch(tree, child, kept) for child in below if child))


@view.register
def _(pool: CapabilityPool) -> Page:
    now = pool.now()
    away = {state.model: state for state in pool.get_standby()}
    active = [model for model in pool.get_active_models() if model.id not in away]
    rows = [(model.id, "● active") for model in active]
    rows += [(model, standing(state, now)) for model, state in away.items()]
    return Page(
        f"Pool {pool.name} of {pool.hierarchy_node}: {len(active)} active, {len(away)} on standby",
        (Table(("model", "state"), rows[:MOST_ROWS], max(0, len(rows) - MOST_ROWS)),),
    )


def standing(state: StandbyState, now: float) -> str:
    """Return how a model on standby stands, as a sign and words.

    Args:
        state: Why and until when it is on standby.
        now: Monotonic seconds.
    """
    if state.on_trial:
        return f"◐ on trial: {state.reason}"
    if state.until is None:
        return f"○ standby until recovered: {state.reason}"
    if state.until <= now:
        return f"◐ probe due: {state.reason}"
    return f"○ standby, {spell(state.until - now)} left: {state.reason}"


@view.register
def _(model: Model) -> Page:
    price = model.price
    facts = {
        "provider": model.provider,
        "name": model.name,
        "capabilities": ", ".join(model.capabilities),
        "features": ", ".join(sorted(model.features or ())),
        "context window": f"{model.context_window:,} tokens" if model.context_window else "",
        "price": f"$ {price.input:g} in, $ {price.output:g} out for a million tokens"
        if price
        else "",
        "limits": ", ".join(map(str, model.limits)),
        "concurrency": "" if model.concurrency is None else str(model.concurrency),
        "dimensions": str(model.dimensions or ""),
    }
    known = [(name, value) for name, value in facts.items() if value]
    return Page(f"Model {model.id}", (Table(("fact", "value"), known),))


@view.register
def _(router: Router) -> Page:
    models, pools = router.models, router.pools
    return Page(
        f"Router of {_count(len(models), 'model')} in {_count(len(pools), 'pool')}",
        tuple(table for table in (_pools(pools), _models(router, models)) if table.rows),
    )


def _pools(pools: list[CapabilityPool]) -> Table:
    states = [pool.get_state() for pool in pools[:MOST_ROWS]]
    rows = [
        (s.name, s.hierarchy_node, f"● {s.active_count} active", f"○ {s.standby_count} standby")
        for s in states
    ]
    return Table(("pool", "node", "active", "standby"), rows, len(pools) - len(states))


def _models(router: Router, models: list[Model]) -> Table:
    kept = models[:MOST_ROWS]
    rows = [
        (
            model.id,
            ", ".join(model.capabilities),
            str(router.state(model.id).successes),
            str(router.state(model.id).failures),
            str(router.state(model.id).in_flight),
        )
        for model in kept
    ]
    columns = ("model", "capabilities", "answers", "failures", "in flight")
    return Table(columns, rows, len(models) - len(kept))


@view.register
def _(statistics: RouterStatistics) -> Page:
    groups = {
        "model": statistics.models,
        "provider": statistics.providers,
        "pool": statistics.pools,
    }
    answers = sum(each.successes for each in statistics.pools.values())
    return Page(
        f"Statistics: {_count(answers, 'answer')} by {_count(len(statistics.models), 'model')}",
        tuple(_statistics(what, group) for what, group in groups.items()),
    )


def _statistics(what: str, group: Mapping[str, Statistics]) -> Table:
    rows = [
        (
            name,
            f"{each.requests:,}",
            f"{each.successes:,}",
            ", ".join(f"{count:,} {kind}" for kind, count in each.failures.items()),
            f"{each.input_tokens:,} + {each.output_tokens:,}",
            f"{each.cost_usd:.6f}",
            *map(_seconds, (each.latency_mean_s, each.latency_p50_s, each.latency_p95_s)),
            f"{each.standbys:,}",
            spell(each.downtime_s) if each.downtime_s else "",
        )
        for name, each in islice(group.items(), MOST_ROWS)
    ]
    counts = (what, "requests", "answers", "failures", "tokens", "US dollars")
    columns = (*counts, "mean", "p50", "p95", "standbys", "down")
    return Table(columns, rows, max(0, len(group) - MOST_ROWS))


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g} s"


@view.register
def _(decision: Decision) -> Page:
    instead = f", as {decision.degraded_to}" if decision.degraded_to else ""
    panic = ", tried before its time" if decision.panic else ""
    served = decision.served_by or "nobody"
    return Page(
        f"{decision.capability} → {served}{instead}{panic}",
        (
            *((_attempts(decision.attempts),) if decision.attempts else ()),
            *(_candidates(choice) for choice in decision.choices[:MOST_ROWS]),
        ),
    )


def _candidates(choice: Choice) -> Table:
    rows = [
        (
            each.model,
            _SIGNS[each.state],
            "" if each.score is None else f"{each.score:.4g}",
            str(each.in_flight),
            f"{each.used:.0%}",
            f"● chosen: {choice.why}" if each.model == choice.model else each.obstacle or "",
        )
        for each in sorted(choice.candidates, key=lambda each: each.rank)
    ]
    columns = (f"{choice.pool} by {choice.strategy}", "state", "score", "in flight", "used", "why")
    return Table(columns, rows, choice.omitted)


def _attempts(attempts: tuple[Attempt, ...]) -> Table:
    rows = [
        (
            str(number),
            attempt.model,
            _end(attempt),
            f"{attempt.latency_s:.2f} s",
            f"{attempt.usage.input_tokens} + {attempt.usage.output_tokens}",
            "" if attempt.cost_usd is None else f"{attempt.cost_usd:.6f}",
            _how(attempt),
        )
        for number, attempt in enumerate(attempts[:MOST_ROWS], start=1)
    ]
    columns = ("attempt", "model", "end", "took", "tokens", "US dollars", "how")
    return Table(columns, rows, max(0, len(attempts) - MOST_ROWS))


def _end(attempt: Attempt) -> str:
    if attempt.kind is None:
        return "● served"
    return f"○ {attempt.kind}" + (f" (HTTP {attempt.status})" if attempt.status else "")


def _how(attempt: Attempt) -> str:
    return "trial" if attempt.probe else "hedge" if attempt.hedge else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
