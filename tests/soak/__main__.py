"""Run a soak: ``python -m tests.soak --minutes 10``; exits with 1 if a check has failed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from random import SystemRandom

# Read when LiteLLM is first imported: without it that import asks the network for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from tests.soak.hosts import ASYNC, CONTROL_ASYNC, CONTROL_SYNC, SYNC
from tests.soak.memory import MOST
from tests.soak.run import Plan, Soak, soak


def main() -> None:
    """Read the arguments, run, and tell."""
    options = argparse.ArgumentParser(prog="soak", description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--callers", type=int, default=12, help="in threads, and in each loop")
    options.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    options.add_argument("--control", action="store_true", help="ask LiteLLM alone, for memory")
    given = options.parse_args()
    sync, async_ = (CONTROL_SYNC, CONTROL_ASYNC) if given.control else (SYNC, ASYNC)
    began = time.monotonic()
    say(f"seed {given.seed}, {given.callers} threads and 2 x {given.callers} tasks")
    run = soak(
        Plan(given.minutes * 60, given.callers, given.seed, sync, async_),
        lambda line: say(f"{time.monotonic() - began:5.0f} s: {line}"),
    )
    tell(run)
    sys.exit(bool(run.faults))


def tell(run: Soak) -> None:
    """Write down what a soak has shown."""
    by_surface: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (surface, outcome), count in run.verdicts.outcomes.items():
        by_surface[surface][outcome] += count
    say("")
    for surface, outcomes in sorted(by_surface.items()):
        say(f"{surface:32}" + ", ".join(f"{n} {how}" for how, n in outcomes.most_common()))
    say("")
    kinds: Counter[str] = Counter()
    for (_, kind), count in run.decisions.attempts.items():
        kinds[str(kind or "served")] += count
    say("attempts: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))
    say(f"hedged: {run.decisions.hedged}, begun anew: {run.verdicts.restarts}")
    for name, told in run.tally.items():
        say(f"{name}: " + ", ".join(f"{n} {what}" for what, n in told.items()))
    say(f"events: {run.events.count}")
    say(f"slowest turn of an event loop: {run.verdicts.latest_beat_s:.2f} s")
    for beyond_s, where in run.verdicts.late:
        say(f"{beyond_s:+.2f} s after the deadline: {where}")
    for name in MOST:
        say(f"{name}: {run.memory.growth(name) or 'too short a run to tell'}")
    say("grown: " + ", ".join(f"{n} {kind}" for kind, n in run.memory.grown_kinds.most_common(15)))
    say("")
    for check in run.checks:
        say(f"{'FAILED' if check in run.faults else 'passed'}  {check}")
    for check, faults in run.faults.items():
        say(f"\n{check}, but:")
        for fault in faults[:20]:
            say(f"- {fault}")


def say(line: str) -> None:
    """Print at once, also into a file."""
    print(line, flush=True)  # noqa: T201 - the program's output


if __name__ == "__main__":
    main()
