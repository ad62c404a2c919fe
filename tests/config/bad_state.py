"""Documents that name a store of shared state that cannot be; § stands where."""

from tests.config.bad import Bad

KNOWN = "memory, sqlite, redis, rediss"

STATE = {
    "unknown scheme of a store": Bad(
        "state: §reddis://canary:6379", "state", ("the scheme 'reddis'", KNOWN), "redis"
    ),
    "unknown scheme of a store in a mapping": Bad(
        "state: {url: §'postgres://canary'}", "state.url", ("the scheme 'postgres'", KNOWN)
    ),
    "unknown scheme from the environment": Bad(
        "state: §'${env:SET}://host'", "state", ("this scheme", KNOWN)
    ),
    "store without a scheme": Bad(
        "state: §canary", "state", ("an address such as sqlite:///state.db", "found text")
    ),
    "store that is a reference to something else": Bad(
        "state: §'${env:SET}'", "state", ("an address such as", "found text")
    ),
    "number for a store": Bad("state: §3", "state", ("or a mapping with url", "found a number")),
    "list for a store": Bad("state: §[x]", "state", ("or a mapping with url", "a list")),
    "nothing for a store": Bad("state:§ ", "state", ("no value is given",)),
    "store without an address": Bad(
        "§state: {namespace: mine}", "state.url", ("'url' is missing",)
    ),
    "number for the address of a store": Bad(
        "state: {url: §3}", "state.url", ("an address such as",)
    ),
    "unknown key of a store": Bad(
        "state: {url: 'redis://h', §namespce: x}",
        "state.namespce",
        ("'namespce'", "url, namespace"),
        "namespace",
    ),
    "address of a store in its key": Bad(
        "state: {url: 'redis://h', §'url:redis://:canary@host': }",
        "state.***",
        ("unknown key ***", "url, namespace"),
    ),
    "two slashes before a file": Bad(
        "state: §sqlite://canary.db", "state", ("three slashes", "sqlite:////var/lib")
    ),
    "store without a file": Bad("state: §sqlite:///", "state", ("no file", "memory://")),
    "SQLite's own memory": Bad("state: §'sqlite:///:memory:'", "state", ("memory://",)),
    "parameters of a file": Bad(
        "state: §sqlite:///canary.db?mode=ro", "state", ("takes no parameters",)
    ),
    "file with a line break": Bad('state: §"sqlite:///canary\\n"', "state", ("line break",)),
    "server with a blank": Bad("state: §'redis://canary host'", "state", ("blank",)),
    "server from a file with a line break": Bad(
        "state: §'redis://${env:BROKEN}'", "state", ("line break",)
    ),
    "store without a server": Bad("state: §'redis://'", "state", ("name a server",)),
    "something behind memory": Bad(
        "state: §memory://canary", "state", ("nothing follows memory://",)
    ),
    "password in the file": Bad(
        "state: §'redis://:canary@host'", "state", ("a password must not stand", "${env:NAME}")
    ),
    "password in the file beside a reference": Bad(
        "state: {url: §'rediss://me:canary@${env:SET}/0'}",
        "state.url",
        ("a password must not stand",),
    ),
    "password of another server in the file": Bad(
        "state: §'redis+sentinel://h:1/mymaster/0?sentinel_password=canary'",
        "state",
        ("a password must not stand",),
    ),
    "namespace of a file": Bad(
        "state: {url: 'sqlite:///state.db', §namespace: mine}",
        "state.namespace",
        ("a namespace is for servers",),
    ),
    "namespace with braces": Bad(
        "state: {url: 'redis://h', namespace: §'{canary}'}",
        "state.namespace",
        ("letters, digits", "found text"),
    ),
    "empty namespace": Bad(
        "state: {url: 'redis://h', namespace: §''}", "state.namespace", ("letters, digits",)
    ),
    "text for strict": Bad(
        "providers: {a: {limits: {strict: §'always'}}}",
        "providers.a.limits.strict",
        ("true or false",),
    ),
}
