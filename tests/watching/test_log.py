"""A log is followed as it grows, is renamed and begun anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capability_router.watching.log import LogFollower


def line(number: int) -> str:
    return json.dumps({"n": number}) + "\n"


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(text)


def rotate(path: Path, backups: int = 3) -> None:
    """Do what the log's writer does: the oldest goes, each of the others moves up by one."""
    Path(f"{path}.{backups}").unlink(missing_ok=True)
    for number in range(backups - 1, 0, -1):
        if Path(f"{path}.{number}").exists():
            Path(f"{path}.{number}").rename(f"{path}.{number + 1}")
    path.rename(f"{path}.1")


def numbers(follower: LogFollower) -> list[object]:
    return [record.get("n") for record in follower.poll()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "router.jsonl"


def test_what_stands_before_the_log_comes_first_and_once(path: Path) -> None:
    append(path, line(1))
    follower = LogFollower(path, [{"n": 0}])
    assert (numbers(follower), numbers(follower)) == ([0, 1], [])


def test_a_log_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    follower = LogFollower(path)
    assert numbers(follower) == []
    append(path, line(1))
    assert numbers(follower) == [1]
    assert numbers(follower) == []


def test_a_line_is_read_once_it_has_its_end(path: Path) -> None:
    follower = LogFollower(path)
    append(path, line(1) + line(2)[:4])
    assert numbers(follower) == [1]
    append(path, line(2)[4:])
    assert numbers(follower) == [2]


def test_backups_are_read_first(path: Path) -> None:
    for number in range(3):
        append(path, line(number))
        rotate(path)
    append(path, line(3))
    assert numbers(LogFollower(path)) == [0, 1, 2, 3]


def test_nothing_is_lost_or_read_twice_when_the_log_is_renamed(path: Path) -> None:
    follower = LogFollower(path)
    append(path, line(1))
    assert numbers(follower) == [1]
    append(path, line(2))
    rotate(path)
    assert numbers(follower) == [2]
    append(path, line(3))
    assert numbers(follower) == [3]
    append(path, line(4))
    rotate(path)
    append(path, line(5))
    rotate(path)
    append(path, line(6))
    assert numbers(follower) == [4, 5, 6]


def test_a_log_that_was_cut_short_is_read_from_its_beginning(path: Path) -> None:
    follower = LogFollower(path)
    append(path, line(1) + line(2))
    assert numbers(follower) == [1, 2]
    path.write_text(line(3))
    assert numbers(follower) == [3]


def test_the_last_line_of_a_renamed_log_needs_no_end(path: Path) -> None:
    append(path, line(1) + line(2).rstrip())
    follower = LogFollower(path)
    assert numbers(follower) == [1]
    rotate(path)
    append(path, line(3))
    assert numbers(follower) == [2, 3]


@pytest.mark.parametrize("text", ["{", "[]", "7", '"text"', "\xff", "[" * 100_000, "{}{}"])
def test_a_line_that_is_no_record_becomes_an_empty_record(path: Path, text: str) -> None:
    append(path, f"{text}\n{line(1)}\n")
    assert LogFollower(path).poll() == [{}, {"n": 1}]


def test_a_line_without_any_end_is_given_up(path: Path) -> None:
    follower = LogFollower(path)
    append(path, line(1) + "x" * 1_500_000)
    assert numbers(follower) == [1, None]
    append(path, "\n" + line(2))
    assert numbers(follower) == [2]


def test_a_long_log_is_read_in_parts(path: Path) -> None:
    append(path, "".join(json.dumps({"n": n, "pad": "x" * 1000}) + "\n" for n in range(9000)))
    rotate(path)
    append(path, line(9000))
    follower, seen = LogFollower(path), list[object]()
    looks = 0
    while new := numbers(follower):
        seen += new
        looks += 1
    assert seen == list(range(9001))
    assert looks > 1


@given(st.lists(st.sampled_from(["write", "half", "rotate", "look"]), max_size=40))
def test_however_it_is_written_each_line_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    path = tmp_path_factory.mktemp("log") / "router.jsonl"
    follower, written, seen, half = LogFollower(path), 0, list[object](), False
    for step in [*steps, "look"]:
        text = line(written)
        match step:
            case "write":
                append(path, text[4:] if half else text)
                written, half = written + 1, False
            case "half" if not half:
                append(path, text[:4])
                half = True
            case "rotate" if path.exists() and not half:
                # More backups than steps: what is deleted before anybody looked is gone.
                rotate(path, backups=50)
            case "look":
                seen += numbers(follower)
            case _:
                pass
    assert seen == list(range(written))
