"""A configuration held against every rule."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from capability_router.config import SecretResolver, blueprint_of
from capability_router.config.reading import content, read
from capability_router.config.references import References, is_reference, variables_in
from capability_router.engine.errors import ConfigurationError, Problem
from capability_router.linting.access import unknown_vendors, unset_variables, unused_providers
from capability_router.linting.capacity import overloads
from capability_router.linting.coverage import (
    empty_pools,
    missing_models,
    uncovered_capabilities,
    unreachable_models,
    unreachable_nodes,
)
from capability_router.linting.finding import Finding, Severity
from capability_router.linting.load import ExpectedLoad
from capability_router.linting.plan import Plan
from capability_router.linting.resilience import (
    lone_features,
    lone_windows,
    shared_hosts,
    shared_keys,
    single_providers,
)

__all__ = ["lint"]

_CHECKS: tuple[Callable[[Plan], Iterable[Finding]], ...] = (
    unset_variables,
    unknown_vendors,
    unused_providers,
    missing_models,
    empty_pools,
    unreachable_nodes,
    unreachable_models,
    uncovered_capabilities,
    single_providers,
    shared_hosts,
    shared_keys,
    lone_features,
    lone_windows,
)


def lint(
    source: str | os.PathLike[str],
    *,
    expected: ExpectedLoad | None = None,
    environ: Mapping[str, str] | None = None,
    secrets: Mapping[str, SecretResolver] | None = None,
) -> list[Finding]:
    """Return what is doubtful in a configuration.

    Nothing is called, and nothing is built that runs. Variables that are not set are findings,
    where ``from_yaml`` refuses the file.

    Args:
        source: Path of the YAML file.
        expected: What each pool has to serve; None leaves the limits alone.
        environ: The environment variables; None for those of the process.
        secrets: Functions that fetch secrets, by the scheme of their references, as for ``load``.

    Returns:
        The findings: the gravest first, and of each severity in the order of the file.

    Raises:
        ConfigurationError: If the file cannot be used for another reason; it says why and where.
        ValueError: If a scheme in ``secrets`` is malformed.
    """
    leading = os.environ if environ is None else environ
    plan = _plan(os.fspath(source), leading, secrets or {})
    found = [finding for check in _CHECKS for finding in check(plan)]
    if expected is not None:
        found.extend(overloads(plan, expected))
    severities = list(Severity)
    return sorted(found, key=lambda f: (severities.index(f.severity), f.line, f.column, f.code))


def _plan(name: str, environ: Mapping[str, str], secrets: Mapping[str, SecretResolver]) -> Plan:
    text = content(name)
    if isinstance(text, Problem):
        raise ConfigurationError([text])

    # Read once: a resolver may ask a store for each secret.
    references = _Lenient(environ, Path(name).parent, secrets)
    document = read(text, name, references)
    return Plan(document, blueprint_of(document, references), environ)


class _Lenient(References):
    """Lets a variable that is not set stand for something, so that the rest can be judged.

    It is an address, which can be a key as well; each has its own, for two that are not set do not
    lead to the same place.
    """

    def resolved(self, text: str, blame: Callable[[str], object]) -> str:
        """Return a text with what its references stand for."""
        missing = [name for name in variables_in(text) if not self.environ.get(name)]
        if not missing:
            return super().resolved(text, blame)
        given = {name: _stand_in(name, is_whole=is_reference(text)) for name in missing}
        complete = References(ChainMap(given, dict(self.environ)), self.folder, self.resolvers)
        return complete.resolved(text, blame)


def _stand_in(name: str, *, is_whole: bool) -> str:
    host = f"{name.lower().replace('_', '-').strip('-')}.invalid"
    return f"http://{host}" if is_whole else host
