"""The selections of a decision as rows to show: who could have served, and why others could not."""

from __future__ import annotations

from capability_router.watching.fields import Record, mappings, number, text
from capability_router.watching.wording import STATES, plain, why_words

__all__ = ["choice_rows"]

_SHOWN = 8
"""Selections of one decision that are shown; more than that nobody reads."""
_SHOWN_CANDIDATES = 32
"""As many as a selection of a router tells of."""


def choice_rows(decision: Record) -> dict[str, object]:
    """Return the selections of a decision, and how many of them were left out."""
    choices = mappings(decision, "choices")
    return {
        "choices": [_choice(each) for each in choices[:_SHOWN]],
        "omitted_choices": max(0, len(choices) - _SHOWN),
    }


def _choice(choice: Record) -> dict[str, object]:
    chosen = text(choice, "model")
    why = why_words(text(choice, "why"), text(choice, "strategy"), text(choice, "node"))
    candidates = sorted(mappings(choice, "candidates"), key=_rank)
    shown = [_candidate(each, chosen, why) for each in candidates[:_SHOWN_CANDIDATES]]
    omitted = max(0.0, number(choice, "omitted") or 0.0) + len(candidates) - len(shown)
    return {
        "pool": text(choice, "pool"),
        "model": chosen,
        "words": why,
        "candidates": shown,
        "omitted": int(omitted),
    }


def _rank(candidate: Record) -> float:
    return number(candidate, "rank") or 0.0


def _candidate(candidate: Record, chosen: str, why: str) -> dict[str, object]:
    model, state = text(candidate, "model"), text(candidate, "state")
    tone, word = STATES.get(state, ("plain", plain(state)))
    is_chosen = bool(model) and model == chosen
    return {
        "model": model,
        "tone": tone,
        "state": word,
        "chosen": is_chosen,
        "words": f"chosen: {why}{_score(candidate)}" if is_chosen else _standing(candidate),
    }


def _standing(candidate: Record) -> str:
    """Say what stood in the way of one that was not chosen, or how it compared."""
    return text(candidate, "obstacle") or f"could have served{_score(candidate)}"


def _score(candidate: Record) -> str:
    score = number(candidate, "score")
    return "" if score is None else f", score {score:.4g}"
