"""Real vectors from a small local model: WordLlama's static embeddings, 256 numbers a text.

Texts of like meaning are near each other. The weights come with the package ``wordllama``; nothing
is downloaded. Imports the package only when it is started.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from capability_router.lab.embeddings import unit
from capability_router.lab.errors import LabError
from capability_router.lab.refusals import invalid

__all__ = [
    "WordLlamaEmbeddings",
    "wordllama_is_installed",
]

_PACKAGE = "wordllama"

# The model was trained so that the beginning of a vector is a vector too, at these lengths.
_DIMENSIONS = (64, 128, 256)


class _Rows(Protocol):
    def tolist(self) -> list[list[float]]: ...


class _Model(Protocol):
    def embed(self, texts: list[str]) -> _Rows: ...


class _Loader(Protocol):
    def load(self, *, cache_dir: Path, disable_download: bool) -> _Model: ...


class _Package(Protocol):
    __file__: str
    WordLlama: _Loader


def wordllama_is_installed() -> bool:
    """Tell, without importing it, whether the package with the weights is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


class WordLlamaEmbeddings:
    """Vectors of WordLlama: the mean of the directions that its 32,000 tokens have learned."""

    name = "wordllama"

    def __init__(self) -> None:
        self._model: _Model | None = None

    def start(self) -> None:
        """Load the weights, which takes about a second.

        Raises:
            LabError: If the package or its weights are missing.
        """
        if not wordllama_is_installed():
            raise LabError(
                "embeddings='wordllama' needs the package wordllama, not found. Install it with:"
                " pip install wordllama"
            )
        package = _imported()
        folder = Path(package.__file__).parent
        try:
            self._model = package.WordLlama.load(cache_dir=folder, disable_download=True)
        except FileNotFoundError as error:
            raise LabError(
                f"the package wordllama holds no weights: {error} Install a wheel of it with:"
                " pip install --force-reinstall wordllama"
            ) from error

    def close(self) -> None:
        """Unload the weights."""
        self._model = None

    def vectors(self, texts: Sequence[str], dimensions: int | None = None) -> list[list[float]]:
        """Embed each text.

        Raises:
            RefusedError: With a 400, if ``dimensions`` is not 64, 128 or 256.
            ConnectionError: If the source is closed.
        """
        wanted = _DIMENSIONS[-1] if dimensions is None else dimensions
        if wanted not in _DIMENSIONS:
            raise invalid(f"'dimensions' must be one of {_DIMENSIONS}.", "dimensions")
        model = self._model
        if model is None:
            raise ConnectionError("the model is not running")
        # An empty text has no token, and a mean of none is no number.
        rows = model.embed([text or " " for text in texts]).tolist()
        return [unit(row[:wanted]) for row in rows]


def _imported() -> _Package:
    """Import the package without its side effect: it sends all logs of the process to stderr."""
    root, guard = logging.getLogger(), logging.NullHandler()
    # Where there is a handler already, ``basicConfig`` does nothing.
    root.addHandler(guard)
    try:
        return cast("_Package", importlib.import_module(_PACKAGE))
    finally:
        root.removeHandler(guard)
