"""A configuration file that is read again while the router runs."""

from pathlib import Path

import pytest

from capability_router import CapabilityRouter, ConfigurationError, RoutingEvent

FILE = """
providers: {{a: {{}}, b: {{}}}}
models:
  a/x: {{capabilities: [chat-completion]}}
  b/y: {{capabilities: [chat-completion]}}
pools: {{chat: {{hierarchy_node: chat-completion, strategy: {strategy}}}}}
"""


def served(router: CapabilityRouter, times: int) -> list[str]:
    return [router.call("chat-completion", lambda model: model.id) for _ in range(times)]


def test_file_that_was_changed_is_obeyed_from_wherever_it_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("router.yaml").write_text(FILE.format(strategy="priority"))
    router = CapabilityRouter.from_yaml("router.yaml")
    assert served(router, 3) == ["a/x"] * 3
    Path("router.yaml").write_text(FILE.format(strategy="round-robin"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    router.reload()
    assert served(router, 3) == ["a/x", "b/y", "a/x"]
    assert router.state("a/x").successes == 5


@pytest.mark.parametrize("strategy", ["priorty", "[", "{name: scored}"])
def test_file_that_became_wrong_changes_nothing(tmp_path: Path, strategy: str) -> None:
    path = tmp_path / "router.yaml"
    path.write_text(FILE.format(strategy="priority"))
    router = CapabilityRouter.from_yaml(path)
    router.deactivate("a/x")
    told: list[RoutingEvent] = []
    router.emitter.subscribe(told.append)
    path.write_text(FILE.format(strategy=strategy))
    with pytest.raises(ConfigurationError):
        router.reload()
    assert (served(router, 2), told) == (["b/y"] * 2, [])


def test_router_that_came_from_no_file_says_so() -> None:
    with pytest.raises(ValueError, match="was not made from a file"):
        CapabilityRouter().reload()
