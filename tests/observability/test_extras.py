"""What only some connectors need: told where it is missing, and asked of nobody else."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from capability_router import OpenTelemetry, Prometheus, Webhook

EXTRAS: list[tuple[Callable[[], object], str, str, str]] = [
    (lambda: Webhook("http://127.0.0.1/"), "httpx", "posting", "webhook"),
    (OpenTelemetry, "opentelemetry", "spans", "otel"),
    (Prometheus, "prometheus_client", "metrics", "prometheus"),
]


@pytest.mark.parametrize(("make", "package", "module", "extra"), EXTRAS)
def test_package_that_is_missing_is_told_with_the_line_that_installs_it(
    make: Callable[[], object],
    package: str,
    module: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, f"capability_router.observability.{module}", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"pip install 'capability-router\[{extra}\]'"):
        make()


def test_connectors_can_be_named_without_what_they_need() -> None:
    script = (
        "from capability_router import JsonLines, Logging, OpenTelemetry, Prometheus, Webhook\n"
        "import sys\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert {"httpx", "opentelemetry", "prometheus_client"} & set(done.stdout.split()) == set()
