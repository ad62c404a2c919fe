"""Price maps for tests: small ones of their own, and the installed one as plain JSON."""

import json
from pathlib import Path

from capability_router import Catalogue
from capability_router.catalogue.price_map import installed_map

Rows = dict[str, dict[str, object]]

CHAT: dict[str, object] = {
    "litellm_provider": "openai",
    "mode": "chat",
    "input_cost_per_token": 1.5e-07,
    "output_cost_per_token": 6e-07,
    "max_input_tokens": 1000,
    "supports_vision": True,
}


def installed_rows() -> Rows:
    rows: Rows = json.loads(installed_map().read_text("utf-8"))
    return rows


def catalogue_of(folder: Path, rows: object) -> Catalogue:
    path = folder / "map.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return Catalogue.from_litellm(path)
