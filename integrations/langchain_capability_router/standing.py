"""What is worked out of the models that may serve, and kept until others may.

A request pays one comparison for it, whatever the number of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from langchain_core.language_models import BaseChatModel

from capability_router.engine.model import Model
from capability_router.engine.request import CompletionRequest
from capability_router.router import CapabilityRouter
from langchain_capability_router.backends import LangChainBackend

__all__ = ["Memo", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The models of one chat model at one moment.

    Attributes:
        revision: The router's, of which this holds.
        asked: Capability and pool that are asked for where a call says nothing.
        models: The chat models given, of which this holds.
        candidates: The models that may serve it.
        own: The chat models given, ready to be called, by model id.
        all_own: Whether nobody needs LiteLLM, where a call says nothing.
        fingerprint: Tells any two sets of candidates apart, and where and how they are called; the
            same in every process, and no secret can be read off it.
    """

    revision: int
    asked: tuple[str, str | None]
    models: Mapping[str, BaseChatModel]
    candidates: tuple[Model, ...]
    own: Mapping[str, LangChainBackend]
    all_own: bool
    fingerprint: str


class Memo:
    """Keeps a standing while it holds.

    No part of whom it is kept for: equal to any other, and left behind by pickles and deep copies.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Standing | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memo)

    def __hash__(self) -> int:
        return hash(Memo)

    def __reduce__(self) -> tuple[type[Memo], tuple[()]]:
        return Memo, ()

    def standing_of(
        self,
        router: CapabilityRouter,
        asked: tuple[str, str | None],
        models: Mapping[str, BaseChatModel],
    ) -> Standing:
        """Return what is known if it still holds, or work it out.

        Args:
            router: Knows the models.
            asked: Capability and pool that are asked for where a call says nothing.
            models: Chat models by model id.
        """
        known, revision = self._known, router.revision
        if known and (known.revision, known.asked) == (revision, asked) and known.models is models:
            return known
        own = _backends(models, known.own if known else {})
        candidates = tuple(router.candidates(CompletionRequest(asked[0], pool=asked[1])))
        marks = sorted(_mark(router, model, models.get(model.id)) for model in candidates)
        told = "\n".join(marks).encode(errors="surrogatepass")
        mark = blake2b(told, digest_size=8).hexdigest()
        all_own = all(model.id in own for model in candidates)
        self._known = known = Standing(revision, asked, models, candidates, own, all_own, mark)
        return known


def _backends(
    models: Mapping[str, BaseChatModel], known: Mapping[str, LangChainBackend]
) -> dict[str, LangChainBackend]:
    """Make chat models ready; what has been found out of one is kept."""
    kept = {
        model_id: known[model_id]
        for model_id, inner in models.items()
        if model_id in known and known[model_id].inner is inner
    }
    return {
        model_id: kept.get(model_id) or LangChainBackend(inner, model_id)
        for model_id, inner in models.items()
    }


def _mark(router: CapabilityRouter, model: Model, inner: BaseChatModel | None) -> str:
    provider = router.provider(model.provider)
    parameters = inner._get_llm_string() if inner else ""  # pyright: ignore[reportPrivateUsage]  # as core does for its cache
    places = [getattr(inner, name, None) for name in ("base_url", "openai_api_base", "endpoint")]
    return str([model.id, model.name, provider.vendor, provider.base_url, places, parameters])
