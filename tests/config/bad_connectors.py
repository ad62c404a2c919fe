"""Documents that name a wrong connector, or tell it what is wrong; § stands where."""

from tests.config.bad import Bad
from tests.config.bad_plugins import ALLOWED, OWN


def told(written: str) -> str:
    return ALLOWED + f"observability: [{written}]\n"


AT = "observability[0]"

CONNECTORS = {
    "mapping of connectors": Bad(
        "observability: §{logging: {}}", "observability", ("expected a list", "a mapping")
    ),
    "name alone for the connectors": Bad(
        "observability: §logging", "observability", ("expected a list",)
    ),
    "unknown connector": Bad(
        told("§loging"), AT, ("unknown connector 'loging'", "jsonl, logging, opent"), "logging"
    ),
    "unknown connector with parameters": Bad(
        told("{§webhok: {url: 'https://host/'}}"),
        f"{AT}.webhok",
        ("unknown connector 'webhok'",),
        "webhook",
    ),
    "connector from the environment": Bad(told("§'${env:SET}'"), AT, ("'${env:SET}'",)),
    "number for a connector": Bad(told("§3"), AT, ("name of a connector, or a mapping",)),
    "connector with its name beside its parameters": Bad(
        told("§{name: jsonl, path: x}"), AT, ("its name as the only key",)
    ),
    "text for the parameters of a connector": Bad(
        told("{jsonl: §router.jsonl}"), f"{AT}.jsonl", ("expected a mapping",)
    ),
    "connector by an import path that is not allowed": Bad(
        f"observability: [§'{OWN}:Kept']", AT, ("allow_imports: true", "or use one of jsonl")
    ),
    "connector that is not there": Bad(told(f"§'{OWN}:Lost'"), AT, ("AttributeError",)),
    "connector without what it needs": Bad(
        told("logging, §jsonl"),
        "observability[1]",
        ("the parameter 'path' of 'jsonl' is missing; write {jsonl: {path: ...}}",),
    ),
    "connector with parameters but what it needs": Bad(
        told("{§webhook: {capacity: 5}}"),
        f"{AT}.webhook",
        ("'url' of 'webhook' is missing; write {webhook: {url: ...}}",),
    ),
    "unknown parameter of a connector": Bad(
        told("{jsonl: {path: x, §max_byte: 5}}"),
        f"{AT}.jsonl.max_byte",
        ("unknown parameter 'max_byte' of 'jsonl'", "path, max_bytes, backups"),
        "max_bytes",
    ),
    "clock of a connector": Bad(
        told("{jsonl: {path: x, §clock: 5}}"), f"{AT}.jsonl.clock", ("unknown parameter",)
    ),
    "parameter that only code can hand over": Bad(
        told("{prometheus: {§registry: mine}}"), f"{AT}.prometheus.registry", ("allowed: none",)
    ),
    "text for a number of a connector": Bad(
        told("{jsonl: {path: x, max_bytes: §all}}"), f"{AT}.jsonl.max_bytes", ("whole number",)
    ),
    "number for a path": Bad(told("{jsonl: {path: §3}}"), f"{AT}.jsonl.path", ("expected text",)),
    "number for a duration of a connector": Bad(
        told("{webhook: {url: x, timeout: §10}}"),
        f"{AT}.webhook.timeout",
        ("expected a duration",),
    ),
    "key for the headers": Bad(
        told("{webhook: {url: x, headers: §sk-canary}}"),
        f"{AT}.webhook.headers",
        ("expected a mapping", "text"),
    ),
    "nothing for a parameter of a connector": Bad(
        told("{jsonl: {path:§ }}"), f"{AT}.jsonl.path", ("no value is given",)
    ),
    "connector that stands twice": Bad(
        told("logging, jsonl: {path: x}, §logging"), "observability[2]", ("stands here twice",)
    ),
}
