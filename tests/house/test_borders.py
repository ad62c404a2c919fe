"""Each package imports only what a plain install of it, with its extra, brings along."""

import sys

import pytest

from tests.house.source import PACKAGES, Source, broken, imports

# The longest path that fits decides. A host's name in the core's lists would end the core.
MAY_IMPORT = {
    "capability_router/": {"capability_router", "pydantic", "pydantic_core", "yaml"},
    "capability_router/engine/": {"capability_router"},
    # The extra schedules; imported where it is used, so that all else does without.
    "capability_router/calendars.py": {"capability_router", "cronsim"},
    # The extra discovery; imported where it is used.
    "capability_router/catalogue/served.py": {"capability_router", "httpx"},
    # The extras webhook, otel and prometheus; imported when such a connector is made.
    "capability_router/observability/posting.py": {"capability_router", "httpx"},
    "capability_router/observability/metrics.py": {"capability_router", "prometheus_client"},
    "capability_router/observability/opentelemetry.py": {"capability_router", "opentelemetry"},
    "capability_router/observability/prometheus.py": {"capability_router", "prometheus_client"},
    "capability_router/observability/spans.py": {"capability_router", "opentelemetry"},
    # The extra redis; the store that needs them is imported when it is opened.
    "capability_router/storage/redis_address.py": {"capability_router", "redis"},
    "capability_router/storage/redis_client.py": {"capability_router", "redis"},
    "capability_router/storage/redis_faults.py": {"capability_router", "redis"},
    "capability_router/cli": {"capability_router", "rich", "typer"},
    # The one command that calls models: imported when it is used, for those who have the extra.
    "capability_router/cli/probe.py": {
        "capability_router",
        "litellm_capability_router",
        "typer",
    },
    "capability_router/testing/": {"capability_router", "pytest"},
    "integrations/langchain_capability_router/": {
        "capability_router",
        "langchain_capability_router",
        "langchain_core",
        # Models without a chat model of their own are called through LiteLLM, and what is known
        # of LiteLLM stands there; of it only modules that do not import litellm.
        "litellm_capability_router",
        "pydantic",
    },
    # Only agents of langchain have a use for it; the module says what to install.
    "integrations/langchain_capability_router/middleware.py": {
        "langchain",
        "langchain_capability_router",
        "langchain_core",
    },
    "integrations/litellm_capability_router/": {
        "capability_router",
        "httpx",
        # The proxy is a FastAPI application; only its plugin needs it.
        "fastapi",
        "litellm",
        "litellm_capability_router",
        "openai",
        "pydantic",
    },
}


def undeclared_imports(source: Source) -> list[str]:
    place = max((start for start in MAY_IMPORT if source.path.startswith(start)), key=len)
    return [
        source.at(line, f"{place} may not import {name}")
        for line, name in imports(source.tree)
        if name.partition(".")[0] not in MAY_IMPORT[place] | sys.stdlib_module_names
    ]


def test_packages_import_only_what_their_extras_declare() -> None:
    assert broken(undeclared_imports, *PACKAGES) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("capability_router/registry.py", "import litellm"),
        ("capability_router/registry.py", "from langchain_core.messages import AIMessage"),
        ("capability_router/registry.py", "def load():\n    import langchain_openai"),
        (
            "capability_router/registry.py",
            "import_module('litellm.router')",
        ),
        ("capability_router/registry.py", "import litellm_capability_router"),
        ("capability_router/registry.py", "from rich.tree import Tree"),
        ("capability_router/registry.py", "from cronsim import CronSim"),
        ("capability_router/engine/pool.py", "import pydantic"),
        ("integrations/langchain_capability_router/chat.py", "import litellm"),
        ("integrations/langchain_capability_router/chat.py", "from langchain.agents import x"),
        ("integrations/litellm_capability_router/hooks.py", "import langchain_capability_router"),
        ("integrations/litellm_capability_router/hooks.py", "from integrations import x"),
    ],
)
def test_import_across_a_border_is_found(path: str, text: str) -> None:
    assert len(undeclared_imports(Source(path, text))) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "capability_router/config/load.py",
            "import json, yaml\nfrom pydantic import Field",
        ),
        ("capability_router/calendars.py", "def load():\n    from cronsim import CronSim"),
        ("capability_router/cli.py", "from rich.tree import Tree"),
        ("capability_router/cli/show.py", "import typer"),
        ("integrations/litellm_capability_router/hooks.py", "from litellm.router import Router"),
    ],
)
def test_import_that_the_extra_declares_is_allowed(path: str, text: str) -> None:
    assert undeclared_imports(Source(path, text)) == []
