"""Plays every cell many times, each time with another seed, and writes a scorecard.

``make faults`` takes ``REPEAT=30`` and ``ONLY="8a patient"``: words that a cell's name has to have;
``ONLY="--stretch 4"`` gives a busy machine four times as long where a fault has to be waited for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

# Read when litellm is first imported, which is why it stands above everything that does so:
# without it that import asks the network for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

from tests.faults.cells import CELLS, Cell
from tests.faults.playing import warm_up
from tests.faults.scorecard import Score, as_json, as_markdown, wilson
from tests.faults.stage import bench


def main(arguments: list[str]) -> int:
    """Play, and return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("only", nargs="*", help="words that the name of a cell has to have")
    parser.add_argument("--repeat", type=int, default=30, help="plays of each cell")
    parser.add_argument("--stretch", type=float, default=1.0, help="of short times, if busy")
    parser.add_argument("--out", type=Path, default=Path("build/faults"), help="folder to write to")
    given = parser.parse_args(arguments)
    cells = [cell for cell in CELLS if all(word in _words(cell) for word in given.only)]
    if not cells or given.repeat < 1:
        parser.error(f"nothing to play: {len(cells)} cells, {given.repeat} times")
    scores = _played(cells, given.repeat, given.stretch)
    _write(scores, given.out)
    return any(score.passed < score.total for score in scores)


def _words(cell: Cell) -> list[str]:
    return str(cell).replace(",", " ").replace("|", " ").split()


def _played(cells: list[Cell], repeat: int, stretch: float) -> list[Score]:
    scores: list[Score] = []
    with bench() as made:
        _say(f"{len(cells)} cells, each {repeat} times; making the clients first")
        warm_up(made)
        stretched = replace(made, stretch=stretch)
        for number, cell in enumerate(cells, start=1):
            score = Score(cell, [cell.play(stretched, seed) for seed in range(repeat)])
            scores.append(score)
            _say(f"{number}/{len(cells)} {cell}: {score.passed}/{score.total}")
            for complaint in score.complaints:
                _say(f"    {complaint}")
    return scores


def _write(scores: list[Score], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page, values = folder / "scorecard.md", folder / "scorecard.json"
    page.write_text(as_markdown(scores), encoding="utf-8")
    values.write_text(json.dumps(as_json(scores), indent=1), encoding="utf-8")
    passed, total = sum(s.passed for s in scores), sum(s.total for s in scores)
    low, high = wilson(passed, total)
    _say(f"{passed} of {total} passed, 95 % interval {low:.2%} to {high:.2%}; see {page}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
