"""Documents with a wrong secret, address or syntax; § stands where it is."""

from tests.config.bad import Bad, pool

TEXTS = {
    # Secrets and the environment
    "key in the file": Bad(
        "providers: {a: {api_key: §sk-canary}}", "providers.a.api_key", ("${env:NAME}",)
    ),
    "key in the file beside a reference": Bad(
        "providers: {a: {api_key: §'sk-${env:SET}'}}", "providers.a.api_key", ("${env:NAME}",)
    ),
    "key that is a list": Bad(
        "providers: {a: {api_key: §[sk-canary]}}", "providers.a.api_key", ("${env:NAME}",)
    ),
    "variable that is not set": Bad(
        "providers: {a: {api_key: §'${env:OPENAI_API_KEY}'}}",
        "providers.a.api_key",
        ("'OPENAI_API_KEY'", "not set"),
    ),
    "variable that is empty": Bad(
        "providers: {a: {base_url: §'${env:EMPTY}'}}", "providers.a.base_url", ("'EMPTY'",)
    ),
    "malformed reference": Bad(
        "providers: {a: {api_key: §'${env:sk-canary}'}}", "providers.a.api_key", ("malformed",)
    ),
    "reference that is not closed": Bad(
        "aliases: {a: §'${env:SET'}", "aliases.a", ("malformed", "${env:NAME}")
    ),
    "key with a line break": Bad(
        "providers: {a: {api_key: §'${env:BROKEN}'}}",
        "providers.a.api_key",
        ("line break", "${env:BROKEN}"),
    ),
    "number from the environment": Bad(
        pool("retry: {max_attempts: §'${env:SET}'}"),
        "pools.text.retry.max_attempts",
        ("whole number", "'${env:SET}'", "a reference stands for is text"),
    ),
    "unknown name from the environment": Bad(
        pool("strategy: §'${env:SET}'"), "pools.text.strategy", ("'${env:SET}'",)
    ),
    "reference in a flow mapping without quotes": Bad(
        "providers: {a: {api_key: $§{env:SET}}}", "", ("not valid YAML", "${env:NAME} in quotes")
    ),
    "key for a provider's section": Bad(
        "providers: {openai: §sk-canary}", "providers.openai", ("expected a mapping", "found text")
    ),
    "forgotten blank after the colon": Bad(
        "providers: {openai: {§api_key:sk-canary: }}", "providers.openai.***", ("api_key",)
    ),
    # Addresses
    "address without a scheme": Bad(
        "providers: {a: {base_url: §127.0.0.1/v1}}", "providers.a.base_url", ("https://host/v1",)
    ),
    "address with a broken host": Bad(
        "providers: {a: {base_url: §'http://[::1/v1'}}", "providers.a.base_url", ("expected a URL",)
    ),
    "address with a password": Bad(
        "providers: {a: {base_url: §'http://u:sk-canary@host/v1'}}",
        "providers.a.base_url",
        ("password",),
    ),
    "address with a query": Bad(
        "providers: {a: {base_url: §'http://host/v1?key=sk-canary'}}",
        "providers.a.base_url",
        ("query",),
    ),
    "address of the endpoint": Bad(
        "providers: {a: {base_url: §http://host/v1/chat/completions}}",
        "providers.a.base_url",
        ("leave out '/chat/completions'",),
    ),
    # YAML
    "empty": Bad("§", "", ("empty",)),
    "only a comment": Bad("§# nothing yet\n", "", ("empty",)),
    "list at the top": Bad("§[a]", "", ("found a list", "providers")),
    "text at the top": Bad("§providers", "", ("single value",)),
    "bracket that is not closed": Bad("pools: [a\n§", "", ("not valid YAML", "not closed")),
    "tab": Bad("pools:\n§\ta: b", "", ("not valid YAML", "not with tabs")),
    "bad indentation": Bad("pools:\n   a: x\n  §b: x", "", ("not valid YAML", "indentation")),
    "unknown escape": Bad(r'pools: "\§q"', "", ("not valid YAML", "escape")),
    "escape beyond Unicode": Bad(r'pools: "\U§FFFFFFFF"', "", ("not valid YAML",)),
    "half a character": Bad(r'aliases: {a: §"\ud800"}', "aliases.a", ("Unicode",)),
    "half a character in a key": Bad(r'aliases: {§"\ud800": b}', "aliases", ("Unicode",)),
    "unprintable character": Bad("aliases:\n  a: §\x00", "", ("cannot be printed",)),
    "two documents": Bad("pools:\n§---\npools:\n", "", ("another document",)),
    "tag": Bad("pools: §!!python/name:os.system x", "pools", ("tags",)),
    "tag on a mapping": Bad("pools: §!!set {a}", "pools", ("tags",)),
    "tag of a number on something else": Bad("pools: §!!int x", "pools", ("tags",)),
    "undefined alias": Bad("providers: {a: {api_key: §*sk-canary}}", "", ("undefined alias",)),
    "anchor that holds itself": Bad("§tree: &a [*a]", "", ("anchors",)),
    "nested too deeply": Bad("tree: " + "[" * 30 + "§[[" + "]" * 32, "", ("32 levels",)),
}
