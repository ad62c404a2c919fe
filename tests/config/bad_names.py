"""Documents that name what does not exist; § stands where they do."""

from tests.config.bad import CHAT, MODELS, PROVIDERS, Bad, M, model, pool

SUNDAYS = "cron: 0 3 * * SUN, duration: 2h"

NAMES = {
    # Names of nodes
    "unknown node of a pool": Bad(
        "pools: {a: {hierarchy_node: §generation.txt-generation}}",
        "pools.a.hierarchy_node",
        ("'generation.txt-generation'",),
        "generation.text-generation",
    ),
    "unknown capability": Bad(
        model("capabilities: [§chat-completon]"),
        f"{M}.capabilities[0]",
        ("'chat-completon'", "similar are", "text-completion"),
        CHAT,
    ),
    "unknown node that resembles nothing": Bad(
        "pools: {a: {hierarchy_node: §qqqq}}", "pools.a.hierarchy_node", ("generation, understand",)
    ),
    "unknown node of an alias": Bad("aliases: {c: §chta-completion}", "aliases.c", (), CHAT),
    "capability that is no leaf": Bad(
        model("capabilities: [§text-generation]"),
        f"{M}.capabilities[0]",
        ("no leaf", "chat-completion, text-completion, code-generation"),
    ),
    "category without leaves": Bad(
        model("capabilities: [§mine]") + "tree: [mine]", f"{M}.capabilities[0]", ("none yet",)
    ),
    "ambiguous node": Bad(
        "tree: {mine: [ocr]}\npools: {a: {hierarchy_node: §ocr}}",
        "pools.a.hierarchy_node",
        ("ambiguous", "mine.ocr", "understanding.vision-understanding.ocr"),
    ),
    "malformed name in the tree": Bad(
        "tree: {§My Node: [x]}", "tree.'My Node'", ("'My Node'", "a-z, 0-9")
    ),
    "malformed leaf in the tree": Bad("tree: {a: [§b_c]}", "tree.a[0]", ("'b_c'", "a-z, 0-9")),
    "leaf that stands twice": Bad("tree: {a: [b, §b]}", "tree.a[1]", ("twice",)),
    "what a lost node would have held is not reported again": Bad(
        "tree: {§Mine: [x]}\npools: {a: {hierarchy_node: x}}", "tree.Mine", ("'Mine'",)
    ),
    "malformed alias": Bad("aliases: {§Chat: ocr}", "aliases.Chat", ("'Chat'", "malformed")),
    "alias that is a category": Bad(
        "aliases: {§generation: ocr}", "aliases.generation", ("already stands for",)
    ),
    # Names of providers and models
    "model of an unknown provider": Bad(
        PROVIDERS + "models:\n  §opnai/gpt-4o: {capabilities: [ocr]}",
        "models.'opnai/gpt-4o'",
        ("'opnai'", "openai, local"),
        "openai/gpt-4o",
    ),
    "model without any provider declared": Bad(
        "models: {§a/b: {capabilities: [ocr]}}", "models.'a/b'", ("'a'", "none")
    ),
    "model without a provider": Bad(
        PROVIDERS + "models: {§gpt-4o: {capabilities: [ocr]}}",
        "models.gpt-4o",
        ("provider/name", "openai, local"),
    ),
    "model that the catalogue does not know": Bad(
        PROVIDERS + "models:\n  §openai/gpt-4o-mni:\n",
        "models.'openai/gpt-4o-mni'",
        ("the catalogue has no model 'gpt-4o-mni' of openai", "must be stated"),
        "openai/gpt-4o-mini",
    ),
    "model of a vendor that the catalogue does not know": Bad(
        PROVIDERS + "models: {§local/gpt-4o: {features: [vision]}}",
        "models.'local/gpt-4o'",
        ("of local",),
    ),
    "model whose leaf of the catalogue has grown": Bad(
        "tree: {generation: {text-generation: {chat-completion: [haiku]}}}\n"
        + PROVIDERS
        + "models: {§openai/gpt-4o: }",
        "models.'openai/gpt-4o'",
        (f"the catalogue has it at {CHAT}, which is no leaf of this tree; state its",),
    ),
    "provider with a slash": Bad("providers: {§a/b: }", "providers.***", ("letters, digits",)),
    "unknown provider in a list": Bad(
        PROVIDERS + pool("excluded_providers: [openai, §locla]"),
        "pools.text.excluded_providers[1]",
        ("'locla'", "openai, local"),
        "local",
    ),
    "unknown model in a list": Bad(
        MODELS + pool("model_priority: [§openai/gpt-4]"),
        "pools.text.model_priority[0]",
        ("'openai/gpt-4'", "openai/gpt-4o"),
        "openai/gpt-4o",
    ),
    # Closed sets
    "unknown feature": Bad(
        model("capabilities: [ocr], features: [§visoin]"),
        f"{M}.features[0]",
        ("expected one of streaming, ", "'visoin'"),
        "vision",
    ),
    "unknown kind of failure": Bad(
        "faults: {§overload: {health: model}}", "faults.overload", ("rate_limited",), "overloaded"
    ),
    "unknown health": Bad(
        "faults: {auth: {health: §modell}}",
        "faults.auth.health",
        ("untouched, counts, model, provider", "'modell'"),
        "model",
    ),
    "list for a health": Bad("faults: {auth: {health: §[]}}", "faults.auth.health", ("a list",)),
    "unknown pause": Bad(
        pool("retry: {backoff: §exponential}"),
        "pools.text.retry.backoff",
        ("fixed, exponential-jitter, retry-after", "'exponential'"),
        "exponential-jitter",
    ),
    "duration for a pause": Bad(
        pool("retry: {backoff: §20ms}"), "pools.text.retry.backoff", ("fixed", "'20ms'")
    ),
    "unknown scope": Bad(
        pool("retry: {scope: §alon}"), "pools.text.retry.scope", ("alone, first",), "alone"
    ),
    "unknown reason": Bad(
        pool("retry: {wait_for: [slow, §rate_limit]}"),
        "pools.text.retry.wait_for[1]",
        ("error_threshold, slow",),
        "rate_limited",
    ),
    "unknown way down": Bad(
        pool("degrade: §sibling"), "pools.text.degrade", ("siblings, ancestors",), "siblings"
    ),
    "unknown way down in a list": Bad(
        pool("degrade: [siblings, §parents]"), "pools.text.degrade[1]", ("'parents'",)
    ),
    "unknown model in maintenance": Bad(
        MODELS + pool(f"deactivation: {{maintenance: [{{{SUNDAYS}, models: [§openai/gpt]}}]}}"),
        "pools.text.deactivation.maintenance[0].models[0]",
        ("'openai/gpt'", "openai/gpt-4o"),
        "openai/gpt-4o",
    ),
    "unknown provider in the only maintenance": Bad(
        PROVIDERS + pool(f"deactivation: {{maintenance: {{{SUNDAYS}, providers: [§opnai]}}}}"),
        "pools.text.deactivation.maintenance.providers[0]",
        ("'opnai'", "openai, local"),
        "openai",
    ),
}
