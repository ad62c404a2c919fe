"""One model as the catalogue knows it: facts that any account of its vendor shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from capability_router.engine.limits import Limit
from capability_router.engine.model import Model, Price

__all__ = ["CatalogueEntry", "compared_count"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One model of one vendor.

    Attributes:
        name: Key in the catalogue: LiteLLM's, or ``vendor/model_name``.
        vendor: Whose model it is, as LiteLLM names the vendor in front of a model.
        model_name: What the vendor calls it.
        capabilities: Full paths of the leaves that it has; empty for one that is hidden.
        features: What it is known to be able to do, of ``Feature``.
        context_window: Tokens that it takes in, > 0; None if not known.
        max_output_tokens: Tokens that an answer may have, > 0; None if not known.
        price: US dollars per million tokens; None if it is not sold by the token, or not known.
        unit_prices: US dollars by what else it is sold by: ``page``, ``image``, ``second``,
            ``query``, ``request``, ``character``, ``megapixel`` or ``credit``.
        deprecated_at: Seconds since 1970 UTC from which its vendor withdraws it; None if no date
            is known.
        dimensions: Length of its vectors, > 0; None if it has none, or not known.
        limits: What its vendor is said to allow. That depends on the account, so ``model`` leaves
            them out.
        vector_space: What its vectors can be compared with; None for what its name tells.
    """

    name: str
    vendor: str
    model_name: str
    capabilities: tuple[str, ...]
    features: frozenset[str] = frozenset()
    context_window: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None
    unit_prices: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    deprecated_at: float | None = None
    dimensions: int | None = None
    limits: tuple[Limit, ...] = ()
    vector_space: str | None = None

    @property
    def usd(self) -> float | None:
        """The highest of its prices in US dollars, to compare models by; None if not known.

        It is for a million tokens, of input or output, whichever is dearer; for a model that is
        sold otherwise, for a thousand pages, images, seconds, queries or whatever it is sold by,
        or a million characters.
        """
        if self.price is not None:
            return max(self.price.input, self.price.output)
        by_unit = [usd * compared_count(unit) for unit, usd in self.unit_prices.items()]
        return max(by_unit, default=None)

    def costs_at_most(self, usd: float) -> bool:
        """Return whether none of its prices is above ``usd``, as the property counts them.

        False where no price is known: a model of unknown price may cost anything.
        """
        return self.usd is not None and self.usd <= usd

    def is_deprecated(self, wall: float) -> bool:
        """Return whether its vendor has withdrawn it by ``wall``, in seconds since 1970 UTC."""
        return self.deprecated_at is not None and self.deprecated_at <= wall

    def model(self, provider: str | None = None, *, limits: tuple[Limit, ...] = ()) -> Model:
        """Return the model to register.

        Args:
            provider: Id of the provider that serves it; None for the vendor's name.
            limits: What your account may use of it; ``entry.limits`` for what the catalogue says.

        Raises:
            ValueError: If it is hidden, so that there is no leaf to register at.
        """
        owner = provider or self.vendor
        return Model(
            f"{owner}/{self.model_name}",
            self.capabilities,
            provider=owner,
            name=self.model_name,
            features=self.features,
            context_window=self.context_window,
            price=self.price,
            limits=limits,
            deprecated_at=self.deprecated_at,
            vector_space=self.vector_space,
            dimensions=self.dimensions,
        )


def compared_count(unit: str) -> int:
    """Return for how many of a unit prices are compared; a page is about a thousand tokens."""
    return 1_000_000 if unit == "character" else 1000
