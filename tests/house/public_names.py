"""The public names of the three packages, as the snapshot beside this file has them.

After an intended change: ``.venv/bin/python tests/house/public_names.py``, then read the diff.
A name that leaves or changes its meaning needs a line in the changelog.
"""

import ast
import os
from importlib import import_module
from pathlib import Path

SNAPSHOT = Path(__file__).with_suffix(".txt")
PACKAGES = ("capability_router", "langchain_capability_router", "litellm_capability_router")


def render() -> str:
    """Return what the snapshot should hold: one dotted name a line."""
    return "".join(
        f"{package}.{name}\n"
        for package in PACKAGES
        for name in sorted(import_module(package).__all__)
    )


def exported(stub: str) -> dict[str, str]:
    """Return each name that a stub hands on by ``from module import name as name``."""
    return {
        alias.name: node.module
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname == alias.name
    }


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    SNAPSHOT.write_text(render(), encoding="utf-8")
