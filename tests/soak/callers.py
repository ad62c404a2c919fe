"""Callers without number: threads, and tasks of two event loops, until they are told to stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from tests.soak.hosts import Hosts, Surface
from tests.soak.leftovers import close_clients_of_loop, tasks_left
from tests.soak.questions import Heard, LeftError, Question
from tests.soak.verdicts import Verdicts, faults_of_answer, faults_of_error, faults_of_part

__all__ = ["Crowd", "Open"]

LOOPS = 2
_BEAT_S = 0.05


@dataclass(frozen=True, slots=True)
class Open:
    """A question that is not answered yet.

    Attributes:
        question: The question.
        surface: How it is asked.
        since: Monotonic seconds.
    """

    question: Question
    surface: str
    since: float

    def beyond_s(self, now: float) -> float:
        """Return by how many seconds its deadline has passed; negative before it."""
        return now - self.since - self.question.deadline_s


class Crowd:
    """So many callers in threads, and so many in each event loop.

    Args:
        hosts: Whom they ask.
        sync: The ways to ask in threads.
        async_: The ways to ask in tasks.
        size: How many callers in each place.
        seed: Of chance.
        verdicts: Take what becomes of the questions.

    Attributes:
        tasks_left: Tasks that were left in an event loop in the end, in words.
    """

    def __init__(
        self,
        hosts: Hosts,
        sync: Sequence[Surface],
        async_: Sequence[Surface],
        size: int,
        seed: str,
        verdicts: Verdicts,
    ) -> None:
        self._hosts = hosts
        self._sync = sync
        self._async = async_
        self._size = size
        self._seed = seed
        self._verdicts = verdicts
        self._over = threading.Event()
        self._awake = threading.Event()
        self._open: dict[int, Open] = {}
        self.tasks_left: list[str] = []
        places = [(self._loop, place) for place in range(LOOPS)]
        places += [(self._caller, place) for place in range(size)]
        self._threads = [
            # Daemons: one that hangs is told of, and must not keep the program from ending.
            threading.Thread(target=work, args=(place,), daemon=True)
            for work, place in places
        ]

    def start(self) -> None:
        """Begin to ask."""
        self.go_on()
        for thread in self._threads:
            thread.start()

    def rest(self) -> None:
        """Ask nothing new for a while."""
        self._awake.clear()

    def go_on(self) -> None:
        """Ask again."""
        self._awake.set()

    def go_home(self) -> None:
        """Ask nothing new any more."""
        self._over.set()
        self._awake.set()

    @property
    def is_gone(self) -> bool:
        """Whether all have what they asked for already."""
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def open(self) -> list[Open]:
        """What is not answered yet."""
        return list(self._open.values())

    def _caller(self, place: int) -> None:
        chance = Random(f"{self._seed} thread {place}")
        while not self._over.is_set():
            surface = chance.choice(self._sync)
            with self._judged(Question.drawn(chance), surface) as heard:
                surface.ask(self._hosts, heard)
            self._awake.wait()

    def _loop(self, place: int) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._callers(place))

    async def _callers(self, place: int) -> None:
        # LangChain asks in threads wherever another loop would share its clients.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(self._size))
        beat = asyncio.create_task(self._beat())
        await asyncio.gather(*(self._acaller(f"{place} {n}") for n in range(self._size)))
        beat.cancel()
        self.tasks_left += await tasks_left()
        await close_clients_of_loop()
        await self._hosts.aclose()

    async def _beat(self) -> None:
        """Measure how late the event loop is: so late is everybody who is told by it."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(_BEAT_S)
            self._verdicts.note_beat(time.monotonic() - began - _BEAT_S)

    async def _acaller(self, place: str) -> None:
        chance = Random(f"{self._seed} loop {place}")
        while not self._over.is_set():
            surface = chance.choice(self._async)
            with self._judged(Question.drawn(chance), surface) as heard:
                async with asyncio.timeout(heard.question.seconds) as patience:
                    try:
                        await surface.ask(self._hosts, heard)
                    except asyncio.CancelledError:
                        # Only here it is certain that the caller was the one who has left.
                        heard.is_left = patience.expired()
                        raise
            while not self._awake.is_set():  # noqa: ASYNC110 - it is set in another thread
                await asyncio.sleep(_BEAT_S)

    @contextmanager
    def _judged(self, question: Question, surface: Surface) -> Iterator[Heard]:
        heard = Heard(question)
        self._open[question.number] = now = Open(question, surface.name, time.monotonic())
        try:
            yield heard
        except Exception as error:  # noqa: BLE001 - that is what is looked at
            if heard.is_left or isinstance(error, LeftError):
                outcome, faults = "left", faults_of_part(heard)
            else:
                outcome = type(error).__name__
                faults = faults_of_error(heard, error, surface.family or Exception)
        else:
            outcome, faults = "answered", faults_of_answer(heard)
        finally:
            del self._open[question.number]
        told = list(faults) if surface.family else []
        self._verdicts.note(surface.name, outcome, told, heard)
        where = f"{surface.name}, {question.pool}: {outcome}"
        self._verdicts.note_time(where, now.beyond_s(time.monotonic()))
