"""Several providers that start and stop together."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from capability_router.lab.answers import AnswerSource, EchoAnswers
from capability_router.lab.control import ControlEndpoint
from capability_router.lab.embeddings import EmbeddingSource, HashEmbeddings
from capability_router.lab.provider import LabProvider
from capability_router.lab.smollm import SmolLMAnswers, smollm_is_installed
from capability_router.lab.wordllama import WordLlamaEmbeddings, wordllama_is_installed

__all__ = [
    "AnswersChoice",
    "EmbeddingsChoice",
    "Lab",
]

AnswersChoice = Literal["auto", "echo", "smollm2"]
EmbeddingsChoice = Literal["auto", "hash", "wordllama"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Lab:
    """Named OpenAI-compatible providers on loopback ports, each with faults that can be switched.

    A context manager; within it ``lab["alpha"].base_url`` is what a client needs. Listens on
    127.0.0.1 only, always.

    Args:
        names: Provider names: letters, digits, ``.``, ``_`` and ``-``, each once.
        answers: What healthy answers are made of: ``echo``, ``smollm2`` (a tiny real model),
            ``auto`` (the model where it is installed, else the echo), or a source of your own.
        embeddings: What vectors are made of, which also rank documents: ``hash`` (near for texts
            that share words), ``wordllama`` (a small real model: near for texts of like meaning),
            ``auto`` (the model where it is installed, else the hash), or a source of your own.
        ports: One port per provider; empty lets the system choose all, 0 one of them.
        control_port: Port of the control endpoint, 0 for any free one; None opens none.
        clock: Monotonic seconds, read by quotas and for the times of requests; replace it to pass
            their time in a test.

    Raises:
        ValueError: If a name, the number of ports, ``answers`` or ``embeddings`` is wrong.
    """

    def __init__(
        self,
        names: Sequence[str],
        answers: AnswersChoice | AnswerSource = "auto",
        *,
        embeddings: EmbeddingsChoice | EmbeddingSource = "hash",
        ports: Sequence[int] = (),
        control_port: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check_names(names)
        if ports and len(ports) != len(names):
            raise ValueError(f"{len(names)} providers need as many ports, found {len(ports)}")
        self._source = _source(answers)
        self._embeddings = _embedding_source(embeddings)
        self._providers = {
            name: LabProvider(name, self._source, self._embeddings, clock, port)
            for name, port in zip(names, ports or [0] * len(names), strict=True)
        }
        self._control = (
            None if control_port is None else ControlEndpoint(self._providers, control_port)
        )
        self._running = False

    def __getitem__(self, name: str) -> LabProvider:
        """Find a provider by its name.

        Raises:
            KeyError: If there is none; the message names those there are.
        """
        if name not in self._providers:
            raise KeyError(f"no provider {name!r} in the lab, only {', '.join(self._providers)}")
        return self._providers[name]

    def __iter__(self) -> Iterator[LabProvider]:
        """Go through the providers in the order of their names' first mention."""
        return iter(self._providers.values())

    def __len__(self) -> int:
        """Count the providers."""
        return len(self._providers)

    def __enter__(self) -> Lab:
        """Start the lab."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the lab."""
        self.stop()

    @property
    def control_url(self) -> str | None:
        """Where the faults are switched over HTTP, None without a control endpoint.

        Raises:
            LabError: If the lab was never started and the system is to choose the port.
        """
        return None if self._control is None else self._control.url

    def start(self) -> None:
        """Listen on every port; does nothing while the lab runs.

        Raises:
            LabError: If a port is taken, or the model was asked for and cannot be loaded; nothing
                is left open then.
        """
        if self._running:
            return
        self._source.start()
        self._running = True
        try:
            self._embeddings.start()
            for provider in self:
                provider.enter_service()
            if self._control is not None:
                self._control.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every request, thread and socket; ports are remembered for another :meth:`start`."""
        if not self._running:
            return
        self._running = False
        # The control endpoint goes first: nobody may revive a provider behind this loop.
        if self._control is not None:
            self._control.stop()
        # Before the source, which waits for its answers under way: one that is held back by a fault
        # would never end.
        for provider in self:
            provider.hang_up()
        self._source.close()
        self._embeddings.close()
        for provider in self:
            provider.leave_service()

    def reset(self) -> None:
        """Make every provider as new: well, listening, without script, quota or record."""
        for provider in self:
            provider.reset()


def _source(answers: AnswersChoice | AnswerSource) -> AnswerSource:
    if not isinstance(answers, str):
        return answers
    match answers:
        case "auto":
            return SmolLMAnswers() if smollm_is_installed() else EchoAnswers()
        case "smollm2":
            return SmolLMAnswers()
        case "echo":
            return EchoAnswers()
        case _:
            raise ValueError(f"answers must be auto, echo, smollm2 or a source, found {answers!r}")


def _embedding_source(embeddings: EmbeddingsChoice | EmbeddingSource) -> EmbeddingSource:
    if not isinstance(embeddings, str):
        return embeddings
    match embeddings:
        case "auto":
            return WordLlamaEmbeddings() if wordllama_is_installed() else HashEmbeddings()
        case "wordllama":
            return WordLlamaEmbeddings()
        case "hash":
            return HashEmbeddings()
        case _:
            raise ValueError(
                f"embeddings must be auto, hash, wordllama or a source, found {embeddings!r}"
            )


def _check_names(names: Sequence[str]) -> None:
    if isinstance(names, str) or not names:
        raise ValueError(f"a lab needs a list of provider names, found {names!r}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no provider name: use letters, digits, '.', '_' and '-'")
    if len(set(names)) < len(names):
        raise ValueError(f"provider names must differ, found {list(names)}")
