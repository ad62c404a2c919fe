"""Facts about models and providers that do not change while the program runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from capability_router.engine.concurrency import AdaptiveConcurrency, Concurrency
from capability_router.engine.displaying import Displayed
from capability_router.engine.feature import Feature, features_of
from capability_router.engine.limits import Limit
from capability_router.engine.outcome import Usage
from capability_router.engine.request import CompletionRequest
from capability_router.engine.untrusted import shown

__all__ = ["Model", "Price", "Provider", "Secret"]


class Secret:
    """A value that shows itself only when asked by name.

    Args:
        value: The secret text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret text; hand it to the provider's client and to nothing else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a Secret is not pickled; keep the reference to it, ${env:NAME}, instead")


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Price of a million input tokens, >= 0.
        output: Price of a million output tokens, >= 0.
    """

    input: float
    output: float

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return the price of these tokens in US dollars."""
        return (self.input * input_tokens + self.output * output_tokens) / 1_000_000


@dataclass(frozen=True, slots=True)
class Provider:
    """One failure and credential domain: a vendor's API under one account.

    Attributes:
        id: The project's own name for it, for instance ``groq`` or ``openai-eu``.
        vendor: Whose API it speaks, as LiteLLM names it; ``openai`` for any server that is
            compatible with OpenAI's API. Empty means the id.
        base_url: Root of the API, ending before ``/chat/completions``; None for the vendor's own.
        api_key: Credential; None for none where ``base_url`` is given, and otherwise for the
            client library's environment variable.
        limits: What may be used of all of its models together.
    """

    id: str
    vendor: str = ""
    base_url: str | None = None
    api_key: Secret | None = field(default=None, repr=False)
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        if not self.vendor:
            object.__setattr__(self, "vendor", "openai" if self.base_url else self.id)

    def __repr__(self) -> str:
        # An address may carry a password, and a key in its query.
        url, query, _ = (self.base_url or "").partition("?")
        address = None if self.base_url is None else shown(url) + ("?***" if query else "")
        told = f"id={self.id!r}, vendor={self.vendor!r}, base_url={address!r}"
        return f"Provider({told}, limits={self.limits!r})"


@dataclass(frozen=True, slots=True)
class Model(Displayed):
    """One callable endpoint of one provider.

    Attributes:
        id: Unique name, by convention ``provider/name``.
        capabilities: Nodes it registers at: paths, unique last segments or aliases.
        provider: Id of its provider; empty means the part of the id before the first ``/``.
        name: What the provider calls it; empty means the part of the id after the first ``/``.
        features: What it can do, of ``Feature``; None means not declared, and no request is
            refused for it.
        context_window: Tokens of input and output together, > 0; None if not known.
        price: Cost; None if not known.
        limits: What may be used of it.
        concurrency: Attempts that may be in flight at once, >= 1, or how to find out; None for any
            number. While so many are, requests pass it over.
        deprecated_at: Seconds since 1970 UTC from which it takes no new requests; None for never.
        vector_space: Of an embedding model, the name of what its vectors can be compared with;
            None for that which its name tells, see ``embedding_space``.
        dimensions: Length of its vectors, > 0; None if not declared.

    Raises:
        TypeError: If ``context_window``, ``dimensions`` or a ``concurrency`` that is not adaptive
            is no whole number.
        ValueError: If one of them is not above 0, there is no capability, or a feature does not
            exist.
    """

    id: str
    capabilities: tuple[str, ...]
    provider: str = ""
    name: str = ""
    features: frozenset[str] | None = None
    context_window: int | None = None
    price: Price | None = None
    limits: tuple[Limit, ...] = ()
    deprecated_at: float | None = None
    vector_space: str | None = None
    dimensions: int | None = None
    concurrency: Concurrency | None = None

    def __post_init__(self) -> None:
        prefix, _, rest = self.id.partition("/")
        object.__setattr__(self, "capabilities", _as_names(self.capabilities, self.id))
        object.__setattr__(self, "provider", self.provider or prefix)
        object.__setattr__(self, "name", self.name or rest or prefix)
        for name in ("context_window", "dimensions"):
            _check_count(self.id, name, getattr(self, name))
        if not isinstance(self.concurrency, AdaptiveConcurrency):
            _check_count(self.id, "concurrency", self.concurrency)
        if self.features is not None:
            object.__setattr__(self, "features", features_of(self.features))

    @property
    def embedding_space(self) -> str:
        """What its vectors can be compared with: vectors of equal spaces, and of no others.

        It is the declared ``vector_space``, or else the last segment of ``name`` in lower case:
        the same model has one name at most providers, but for a vendor in front of it. Where
        ``dimensions`` are declared they belong to it, for vectors of different lengths compare
        with nothing: ``text-embedding-3-small[1536]``.
        """
        space = self.vector_space or self.name.rpartition("/")[2].lower() or self.name
        return space if self.dimensions is None else f"{space}[{self.dimensions}]"

    def cost_usd(self, usage: Usage) -> float:
        """Return what an answer cost, in US dollars: by its price, or else as stated; or 0."""
        if self.price is not None:
            return self.price.cost_usd(usage.input_tokens, usage.output_tokens)
        return usage.cost_usd or 0.0

    def missing(self, requires: frozenset[str]) -> frozenset[str]:
        """Return which features it does not have; one that declares none has all but one.

        That one is ``assistant_prefill``, whose lack would show in the answer, which begins anew,
        and in no error.
        """
        if self.features is not None:
            return requires - self.features
        return requires & _HAS_TO_BE_DECLARED

    def lacks(self, request: CompletionRequest) -> str | None:
        """Say why this model cannot serve a request; None if it can.

        Returns:
            A phrase such as ``lacks vision`` or ``context window 2048 < 5000 tokens``.
        """
        if missing := self.missing(request.requires):
            return "lacks " + ", ".join(sorted(missing))
        if self.context_window is not None and request.tokens > self.context_window:
            return f"context window {self.context_window} < {request.tokens} tokens"
        if request.vector_space is not None and request.vector_space != self.embedding_space:
            return f"embeds into {self.embedding_space!r}, not {request.vector_space!r}"
        if request.model is not None and request.model not in (self.id, self.name):
            return f"is not {request.model!r}"
        return None


_HAS_TO_BE_DECLARED = frozenset({Feature.ASSISTANT_PREFILL})


def _check_count(model_id: str, name: str, count: object) -> None:
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"model {model_id!r}: {name} {count!r} must be a whole number")
    if count <= 0:
        raise ValueError(f"model {model_id!r}: {name} {count!r} must be above 0")


def _as_names(capabilities: Collection[str], model_id: str) -> tuple[str, ...]:
    if isinstance(capabilities, str) or not capabilities:
        raise ValueError(
            f"model {model_id!r}: capabilities {capabilities!r} must be a non-empty list of names"
        )
    return tuple(dict.fromkeys(capabilities))
