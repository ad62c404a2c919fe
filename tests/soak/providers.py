"""The providers of a soak, seen from the process that asks them."""

import json
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]


class Providers:
    """Speaks with the process that holds them.

    Args:
        commands: Its input.
        answers: Its output.

    Attributes:
        urls: Where each provider is, by its name.
    """

    def __init__(self, commands: IO[str], answers: IO[str]) -> None:
        self._commands = commands
        self._answers = answers
        self.urls: Mapping[str, str] = self._answer()

    def storm(self) -> None:
        """Let faults come and go."""
        self._do("storm")

    def calm(self) -> None:
        """Be well from now on; requests that hang are answered."""
        self._do("calm")

    def tally(self) -> Mapping[str, Mapping[str, int]]:
        """Tell what each provider was asked so far, and how that ended."""
        told: Mapping[str, Mapping[str, int]] = self._do("tally")
        return told

    def _do(self, command: str) -> Any:
        self._commands.write(command + "\n")
        self._commands.flush()
        return self._answer()

    def _answer(self) -> Any:
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the process of the providers has ended; its error is above")
        return json.loads(line)


@contextmanager
def providers(seed: int) -> Generator[Providers]:
    """Run the providers; they are well until they are told otherwise."""
    command = [sys.executable, "-m", "tests.soak.lab_process", str(seed)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("both are pipes")
        try:
            yield Providers(process.stdin, process.stdout)
        finally:
            process.stdin.close()
            process.wait(timeout=30)
