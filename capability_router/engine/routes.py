"""From what a request names to the node and the pools that serve it.

Knows names, not who is active.
"""

from __future__ import annotations

from capability_router.engine.pool import CapabilityPool
from capability_router.engine.request import CompletionRequest
from capability_router.engine.topology import Topology

__all__ = ["Route", "Routes"]

Route = tuple[str, tuple[CapabilityPool, ...]]
"""Full path of the node that is asked for, and the pools that serve it, most specific first."""

_MOST_ROUTES = 10_000


class Routes:
    """Finds routes, and remembers them until the tree or the pools change.

    Args:
        topology: The tree and the pools.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._known: dict[tuple[str, str | None], Route] = {}
        self._versions = (-1, -1)

    def of(self, request: CompletionRequest) -> Route:
        """Return the route of a request.

        Raises:
            UnknownCapabilityError: If the tree has no such node.
            UnknownPoolError: If the request names a pool that does not exist.
        """
        topology = self._topology
        pools, nodes = self._versions
        if pools == topology.version and nodes == topology.tree.version:
            route = self._known.get((request.capability, request.pool))
            if route is not None:
                return route
        return self._find(request)

    def _find(self, request: CompletionRequest) -> Route:
        topology = self._topology
        versions = topology.version, topology.tree.version
        if versions != self._versions or len(self._known) >= _MOST_ROUTES:
            self._versions, self._known = versions, {}
        node = topology.tree.resolve(request.capability).path
        only = request.pool
        pools = topology.covering(node) if only is None else (topology.pool(only),)
        route = self._known[request.capability, request.pool] = node, pools
        return route
