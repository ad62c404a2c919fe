"""Secrets that a configuration refers to: files, resolvers, and what is told when there is none."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from capability_router import CapabilityRouter, ConfigurationError, Secret, registry
from capability_router.config import SecretResolver, load, loads
from capability_router.engine.errors import Problem
from tests.house.source import ROOT

CANARY = "sk-canary-0123456789"
OPENAI = "providers: {{openai: {{api_key: '{reference}'}}}}\n"


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_targets", dict(registry._targets))


def key_of(text: str, **secrets: SecretResolver) -> str:
    (provider,) = loads(text, file="router.yaml", environ={}, secrets=secrets).providers
    assert provider.api_key is not None
    return provider.api_key.reveal()


def problem_of(reference: str, **secrets: SecretResolver) -> Problem:
    text = OPENAI.format(reference=reference)
    with pytest.raises(ConfigurationError) as caught:
        loads(text, file="router.yaml", environ={}, secrets=secrets)
    assert caught.value.__context__ is None, "a cause could carry the secret along"
    (problem,) = caught.value.problems
    assert (problem.line, problem.key_path) == (1, "providers.openai.api_key")
    assert "canary" not in f"{problem}{problem!r}"
    return problem


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_file_stands_for_its_text_without_the_last_line_break(tmp_path: Path, ending: str) -> None:
    secret = tmp_path / "openai"
    secret.write_bytes(f"{CANARY}{ending}".encode())
    assert key_of(OPENAI.format(reference=f"${{file:{secret}}}")) == CANARY


def test_relative_path_starts_at_the_folder_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/openai").write_text(CANARY)
    (tmp_path / "router.yaml").write_text(OPENAI.format(reference="${file:secrets/openai}"))
    (provider,) = load(tmp_path / "router.yaml").providers
    assert (provider.api_key or Secret("")).reveal() == CANARY


def test_mounted_secret_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "first").write_text(CANARY)
    (tmp_path / "openai").symlink_to("first")
    assert key_of(OPENAI.format(reference=f"${{file:{tmp_path}/openai}}")) == CANARY


def test_references_may_stand_within_a_text(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("127.0.0.1\n")
    text = f"providers: {{own: {{base_url: 'http://${{file:{tmp_path}/host}}:${{env:PORT}}/v1'}}}}"
    (provider,) = loads(text, environ={"PORT": "8080"}).providers
    assert provider.base_url == "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file or directory; check the path"),
        ("folder", "it is no regular file"),
        (b"", "is empty; write the secret into it"),
        (b"\n", "is empty; write the secret into it"),
        (b"canary\xff", "is not UTF-8 text"),
        (b"canary" * 11_000, "is larger than 64 KiB"),
        (b"canary key\n", "that no API key has"),
    ],
)
def test_file_that_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, content: bytes | str | None, told: str
) -> None:
    secret = tmp_path / "openai"
    if isinstance(content, bytes):
        secret.write_bytes(content)
    elif content == "folder":
        secret.mkdir()
    problem = problem_of(f"${{file:{secret}}}")
    assert str(secret) in problem.message
    assert told in problem.message


def test_largest_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "openai").write_text("k" * 64 * 1024)
    assert len(key_of(OPENAI.format(reference=f"${{file:{tmp_path}/openai}}"))) == 64 * 1024


@pytest.mark.parametrize(
    "reference", ["${file:}", "${file:/run/canary", "${env:}", "${vault:}", "${env:sk-canary}"]
)
def test_malformed_reference_is_not_followed(reference: str) -> None:
    problem = problem_of(reference, vault=lambda _: CANARY)
    assert "malformed" in problem.message


def test_resolver_gets_what_stands_after_its_scheme() -> None:
    asked: list[str] = []

    def fetch(reference: str) -> str:
        asked.append(reference)
        return CANARY

    assert key_of(OPENAI.format(reference="${vault:team/openai#key}"), vault=fetch) == CANARY
    assert asked == ["team/openai#key"]


def refuse(reference: str) -> str:
    raise PermissionError(f"no access to {reference} with token {CANARY}")


def nothing(_: str) -> str:
    return ""


def no_text(_: str) -> str:
    return CANARY.encode()  # type: ignore[return-value]  # what a careless resolver does


@pytest.mark.parametrize(
    ("resolver", "told"),
    [
        (refuse, "the resolver of 'vault' raised PermissionError"),
        (nothing, "returned an empty text"),
        (no_text, "returned no text but a 'bytes'"),
    ],
)
def test_resolver_that_fails_is_told_by_its_scheme_alone(
    resolver: SecretResolver, told: str
) -> None:
    assert told in problem_of("${vault:team/openai}", vault=resolver).message


def test_unknown_scheme_tells_what_is_known() -> None:
    problem = problem_of("${vualt:team/openai}", vault=lambda _: CANARY)
    assert "'vualt'; known: env, file, vault;" in problem.message


@pytest.mark.parametrize("scheme", ["env", "file", "Vault", "va:ult", ""])
def test_scheme_that_could_not_be_told_apart_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError, match="cannot be the scheme of a resolver"):
        loads("providers: {openai: }", secrets={scheme: nothing})


def installed(monkeypatch: pytest.MonkeyPatch, name: str, target: str) -> None:
    def entry_points(group: str, name: str | None = None) -> EntryPoints:
        found = EntryPoints([point]).select(group=group)
        return found if name is None else found.select(name=name)

    point = EntryPoint(name, target, "capability_router.secrets")
    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize("how", ["registered", "installed"])
def test_resolver_of_somebody_else_is_found_by_its_scheme(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"kept_{how}.py").write_text(f"def fetch(reference): return {CANARY!r}\n")
    monkeypatch.syspath_prepend(tmp_path)
    if how == "registered":
        registry.register("secrets", "kept", "kept_registered:fetch")
    else:
        installed(monkeypatch, "kept", "kept_installed:fetch")
    assert f"kept_{how}" not in sys.modules
    assert key_of(OPENAI.format(reference="${kept:openai}")) == CANARY


def test_resolver_that_was_passed_goes_before_a_registered_one() -> None:
    registry.register("secrets", "kept", "no_such_module:fetch")
    assert key_of(OPENAI.format(reference="${kept:openai}"), kept=lambda _: CANARY) == CANARY


def test_resolver_that_cannot_be_imported_says_so() -> None:
    registry.register("secrets", "kept", "no_such_module:fetch")
    assert "'no_such_module:fetch' cannot be imported" in problem_of("${kept:openai}").message


def test_router_keeps_its_resolvers_for_the_next_reading(tmp_path: Path) -> None:
    keys = iter(["sk-canary-first", "sk-canary-second"])
    path = tmp_path / "router.yaml"
    path.write_text(OPENAI.format(reference="${vault:openai}"))
    router = CapabilityRouter.from_yaml(path, secrets={"vault": lambda _: next(keys)})
    router.reload()
    assert (router.provider("openai").api_key or Secret("")).reveal() == "sk-canary-second"
