"""The page about observability says what the connectors do."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from capability_router import CapabilityRouter, Prometheus, registry
from capability_router.config.parameters import parameters_of
from capability_router.observability import conventions
from tests.docs.snippets import snippets
from tests.receiving import receiving

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
TEXT = PAGE.read_text("utf-8")
HANDED_OVER = {"clock", "logger", "registry", "tracer_provider", "meter_provider"}


def example(heading: str) -> str:
    (code,) = (s.code for s in snippets(TEXT) if s.heading == heading)
    return code


def test_configuration_of_the_page_opens_all_connectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As long as a busy machine may need to send what waits.
    text = example("In a configuration").replace("decisions: false", "decisions: false, close: 50s")
    (tmp_path / "router.yaml").write_text(text)
    with receiving() as receiver:
        monkeypatch.setenv("WEBHOOK_URL", receiver.url)
        monkeypatch.setenv("WEBHOOK_TOKEN", "T0K3N")
        router = CapabilityRouter.from_yaml(tmp_path / "router.yaml")
        router.call("chat-completion", lambda model: model.name)
        router.close()
    assert not router.emitter.failures
    told = {record["type"] for record in receiver.records}
    assert told == {"pool_membership_changed", "models_updated"}
    assert {headers["authorization"] for _, headers in receiver.requests} == {"Bearer T0K3N"}
    assert (tmp_path / "router.jsonl").read_text().count("\n") == 4


@pytest.mark.parametrize(
    ("heading", "printed"),
    [
        ("In code", ""),
        ("Webhook", ""),
        ("OpenTelemetry", ""),
        ("A connector of your own", "{'alpha/small': 1}\n"),
    ],
)
def test_each_example_runs_as_it_stands(heading: str, printed: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", example(heading)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_metrics_are_served_as_the_example_says(tmp_path: Path) -> None:
    # Any free port in place of the one of the page, which somebody else may have.
    code = example("Prometheus").replace("9464", "0")
    assert "start_http_server(0," in code
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_connector_is_told_of_with_all_that_it_takes() -> None:
    told = set(re.findall(r"`(\w+)`", TEXT))
    for name in registry.names("observability"):
        parameters = parameters_of(registry.resolve("observability", name), positional=True)
        assert {name, *parameters} - HANDED_OVER <= told, name
    assert {name for name in HANDED_OVER if name not in TEXT} == set()


def test_every_metric_is_told_of_with_its_labels() -> None:
    metrics = CollectorRegistry()
    Prometheus(registry=metrics)
    rows = dict(re.findall(r"^\| `(capability_router_\w+)` \| ([^|]*) \|", TEXT, re.MULTILINE))
    names = {metric.name: metric.type for metric in metrics.collect()}
    assert {name.removesuffix("_total") for name in rows} == set(names)
    assert {name for name in rows if name.endswith("_total")} == {
        f"{name}_total" for name, kind in names.items() if kind == "counter"
    }


def test_every_attribute_of_a_span_is_told_of() -> None:
    for name in conventions.__all__:
        value = getattr(conventions, name)
        if name.isupper() and isinstance(value, str):
            short = f"`.{value.rpartition('.')[2]}`"
            own = value.startswith("capability_router.")
            assert f"`{value}`" in TEXT or (own and short in TEXT), value
