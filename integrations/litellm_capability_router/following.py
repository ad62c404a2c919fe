"""Keeps a router's models in step with the deployments that declare them.

Knows one LiteLLM Router's listing at a time; not when it is looked at, nor who calls the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from capability_router import CapabilityRouter, Catalogue, Model, UnknownModelError
from litellm_capability_router.declarations import ProviderNames, declared_model
from litellm_capability_router.deployments import DeployedModel, Place
from litellm_capability_router.listing import Deployed, Listing

__all__ = ["Following"]


class Following:
    """The models that the deployments of a LiteLLM Router are.

    Args:
        router: Where they are registered.
        listing: The deployments.
        catalogue: Where is looked up what deployments do not declare; None for nowhere.
    """

    def __init__(
        self, router: CapabilityRouter, listing: Listing, catalogue: Catalogue | None
    ) -> None:
        self._router = router
        self._catalogue = catalogue
        self._place = Place(listing)
        self._names = ProviderNames(catalogue)
        self._declared: dict[str, Model] = {}

    def move(self, listing: Listing) -> None:
        """Follow another Router; models that are deployed there as well keep their state."""
        self._place.listing = listing

    def follow(self) -> dict[str, Exception]:
        """Register what deployments declare now, and drop what none declares any more.

        A mistake keeps out the deployment that has it, and no other. What a person has
        unregistered stays away until its deployment declares something else.

        Returns:
            What was wrong, by the ids of the deployments.
        """
        stated, mistakes = self._stated(self._place.listing.deployments())
        for gone in [id_ for id_, model in self._declared.items() if stated.get(id_) != model]:
            self._drop(gone)
        known = {model.id for model in self._router.models} | set(self._declared)
        for model in stated.values():
            if model.id not in known:
                try:
                    self._router.register(DeployedModel.at(self._place, model))
                    self._declared[model.id] = model
                except (KeyError, ValueError) as error:
                    mistakes[model.id] = error
        return mistakes

    def drop_all(self) -> None:
        """Unregister all that deployments have declared."""
        for id_ in list(self._declared):
            self._drop(id_)

    def _stated(
        self, deployments: Sequence[Deployed]
    ) -> tuple[dict[str, Model], dict[str, Exception]]:
        """Return the models that can be, and the mistakes of the others, by their ids."""
        stated: dict[str, Model] = {}
        mistakes: dict[str, Exception] = {}
        self._names.follow(deployments)
        for deployment in deployments:
            try:
                model = declared_model(deployment, self._names, self._catalogue)
            except ValueError as error:
                mistakes[str(deployment["model_info"]["id"])] = error
            else:
                stated |= {} if model is None else {model.id: model}
        return stated, mistakes

    def _drop(self, model_id: str) -> None:
        """Unregister a model, unless a person has done so, or has another one of that id."""
        del self._declared[model_id]
        with suppress(UnknownModelError):
            registered = self._router.model(model_id)
            if isinstance(registered, DeployedModel) and registered.place is self._place:
                self._router.unregister(model_id)
