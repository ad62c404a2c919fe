"""A LiteLLM proxy as its users run it: a process of its own, a file, a key and no database."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

_BOOT_S = 200
"""A proxy is up in 6 s on an idle machine; tests that run beside it take most of that away."""

_PLUGIN = "litellm_capability_router.proxy.plugin"
_PROXY = (sys.executable, "-c", "from litellm import run_server; run_server()")


@dataclass(frozen=True)
class Proxy:
    """One that is running."""

    url: str
    key: str
    log: Path

    def get(self, path: str, key: str | None = None) -> httpx.Response:
        return httpx.get(
            f"{self.url}{path}", headers={"Authorization": f"Bearer {key or self.key}"}
        )

    def told(self, what: str) -> Any:
        """Return what one of the plugin's endpoints tells."""
        answer = self.get(f"/capability_router/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()[what.partition("?")[0].replace("health", "models")]


def proxy_config(deployments: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"model_list": deployments, "litellm_settings": {"callbacks": _PLUGIN}, **more}


def deployment(base_url: str, id_: str, **info: Any) -> dict[str, Any]:
    return {
        "model_name": f"group-{id_}",
        "litellm_params": {"model": "openai/tiny", "api_base": base_url, "api_key": f"key-{id_}"},
        "model_info": {"id": id_, **info},
    }


@contextmanager
def running(
    folder: Path,
    config: dict[str, Any] | str,
    *arguments: str,
    environ: dict[str, str] | None = None,
    root: str = "",
) -> Iterator[Proxy]:
    """Start a proxy and stop it in the end, with all of its processes."""
    key, port = f"sk-{secrets.token_hex(12)}", _free_port()
    proxy = Proxy(f"http://127.0.0.1:{port}{root}", key, folder / "proxy.log")
    process = start(folder, config, port, key, *arguments, environ=environ)
    try:
        _wait_until_alive(proxy, process)
        yield proxy
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(
    folder: Path,
    config: dict[str, Any] | str,
    port: int,
    key: str,
    *arguments: str,
    environ: dict[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a proxy whose output goes to ``proxy.log`` in its folder."""
    file = folder / "config.yaml"
    file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    address = ["--host", "127.0.0.1", "--port", str(port)]
    with (folder / "proxy.log").open("wb") as log:
        return subprocess.Popen(
            [*_PROXY, "--config", str(file), *address, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(key) | (environ or {}),
        )


def _environment(key: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "PYTHONPATH", "LANG", "TMPDIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "LITELLM_MASTER_KEY": key,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_MODE": "PRODUCTION",
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_alive(proxy: Proxy, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _BOOT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the proxy ended:\n{proxy.log.read_text()[-4000:]}")
        try:
            if httpx.get(f"{proxy.url}/health/liveliness").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the proxy did not come up:\n{proxy.log.read_text()[-4000:]}")
