"""Documents with one wrong key, type, range or duration; § stands where it is."""

from tests.config.bad import PROVIDERS, Bad, M, model, pool

SETTINGS = {
    # Keys
    "unknown key at the top": Bad(
        "§provider: {}", "provider", ("'provider'", "providers, models, tree"), "providers"
    ),
    "unknown key of a provider": Bad(
        "providers: {a: {§vendr: x}}",
        "providers.a.vendr",
        ("'vendr'", "vendor, base_url, api_key"),
        "vendor",
    ),
    "unknown key that resembles nothing": Bad(
        pool("§zzz: 1"), "pools.text.zzz", ("'zzz'", "hierarchy_node")
    ),
    "unknown key deep inside, named as users write it": Bad(
        pool("recovery: {§cooldwn: 5s}"),
        "pools.text.recovery.cooldwn",
        ("cooldown, max_cooldown",),
        "cooldown",
    ),
    "the engine's name of a setting is no key": Bad(
        pool("retry: {§deadline_s: 5s}"), "pools.text.retry.deadline_s", ("unknown",), "deadline"
    ),
    "unknown key of a section called like a key": Bad(
        "pools: {retry: {hierarchy_node: ocr, §x: 1}}", "pools.retry.x", ("strategy",)
    ),
    "missing key": Bad(
        "pools: {§text: {strategy: priority}}", "pools.text.hierarchy_node", ("missing",)
    ),
    "catalogue of another type": Bad("catalogue: §3", "catalogue", ("text", "the number 3")),
    "catalogue without a name": Bad("catalogue: [litellm, §'']", "catalogue[1]", ("empty",)),
    "unknown key in an item of a list": Bad(
        pool("deactivation: {maintenance: [{cron: 0 3 * * *, duration: 2h, §timezone: UTC}]}"),
        "pools.text.deactivation.maintenance[0].timezone",
        ("'timezone'", "cron, duration, zone, models, providers"),
        "zone",
    ),
    "unknown key in an item that stands for a list": Bad(
        pool("deactivation: {maintenance: {cron: 0 3 * * *, §duratoin: 2h, duration: 1h}}"),
        "pools.text.deactivation.maintenance.duratoin",
        ("'duratoin'",),
        "duration",
    ),
    "missing key in an item of a list": Bad(
        pool("deactivation: {maintenance: [§{duration: 2h}]}"),
        "pools.text.deactivation.maintenance[0].cron",
        ("'cron' is missing",),
    ),
    "unknown key of a reset": Bad(
        pool("recovery: {quota_resets: {§timezone: UTC}}"),
        "pools.text.recovery.quota_resets.timezone",
        ("every, at, zone, day",),
        "zone",
    ),
    "missing price": Bad(
        model("capabilities: [ocr], §price: {input: 1}"), f"{M}.price.output", ("missing",)
    ),
    "key that stands twice": Bad(
        "pools:\n  a: {hierarchy_node: ocr}\n  §a: {hierarchy_node: ocr}",
        "pools.a",
        ("line 2", "line 3"),
    ),
    "key that is no text": Bad("pools: {§1: {hierarchy_node: ocr}}", "pools", ("quotes",)),
    "key that is a mapping": Bad(
        "providers: {a: {vendor: x}, §{b: c}: }", "providers", ("must be text",)
    ),
    "merge key": Bad(
        "pools: {a: &a {hierarchy_node: ocr}, b: {§<<: *a, hierarchy_node: ocr}}",
        "pools.b",
        ("<<", "not supported"),
    ),
    # Types
    "a number for a section": Bad("pools: §3", "pools", ("expected a mapping", "the number 3")),
    "text for a pool": Bad("pools: {a: §ocr}", "pools.a", ("expected a mapping", "the text 'ocr'")),
    "list for a mapping": Bad(
        pool("retry: §[3]"), "pools.text.retry", ("expected a mapping", "found a list")
    ),
    "text for a list": Bad(
        PROVIDERS + pool("allowed_providers: §openai"),
        "pools.text.allowed_providers",
        ("expected a list of names", "the text 'openai'", "write [openai]"),
    ),
    "number in a list of names": Bad(
        model("capabilities: [ocr, §3]"), f"{M}.capabilities[1]", ("expected text", "the number 3")
    ),
    "number for text": Bad("aliases: {a: §3}", "aliases.a", ("expected text", "the number 3")),
    "text for a whole number": Bad(
        pool("retry: {max_attempts: §'3'}"),
        "pools.text.retry.max_attempts",
        ("expected a whole number", "the text '3'"),
    ),
    "fraction for a whole number": Bad(
        pool("retry: {max_attempts: §3.5}"), "pools.text.retry.max_attempts", ("number 3.5",)
    ),
    "octal for a whole number": Bad(
        pool("retry: {max_attempts: §0o17}"), "pools.text.retry.max_attempts", ("text '0o17'",)
    ),
    "boolean for a whole number": Bad(
        pool("retry: {max_attempts: §true}"), "pools.text.retry.max_attempts", ("found true",)
    ),
    "yes for a boolean": Bad(
        "faults: {auth: {next_model: §yes}}",
        "faults.auth.next_model",
        ("expected true or false", "the text 'yes'"),
    ),
    "text for a number": Bad(
        pool("recovery: {multiplier: §two}"), "pools.text.recovery.multiplier", ("a number",)
    ),
    "nothing for a setting": Bad(
        pool("strategy:§ "), "pools.text.strategy", ("no value is given", "remove the key")
    ),
    "text for the tree": Bad("tree: §x", "tree", ("nested mapping or a list", "the text 'x'")),
    "number in the tree": Bad("tree: {a: [§3]}", "tree.a[0]", ("expected a name", "number 3")),
    "list for an alias": Bad("aliases: {a: §[b]}", "aliases.a", ("expected text", "a list")),
    "number for a reason": Bad(
        pool("retry: {wait_for: [§429]}"),
        "pools.text.retry.wait_for[0]",
        ("expected one of", "rate_limited", "the number 429"),
    ),
    "text for a list of reasons": Bad(
        pool("retry: {wait_for: §rate_limited}"),
        "pools.text.retry.wait_for",
        ("expected a list of names", "write [rate_limited]"),
    ),
    "text for the share of failures": Bad(
        pool("deactivation: {error_rate: §none}"),
        "pools.text.deactivation.error_rate",
        ("above 0 and at most 1, or off", "the text 'none'"),
    ),
    "boolean for the share of failures": Bad(
        pool("deactivation: {error_rate: §false}"),
        "pools.text.deactivation.error_rate",
        ("or off", "found false"),
    ),
    "nothing for the share of failures": Bad(
        pool("deactivation: {error_rate:§ }"),
        "pools.text.deactivation.error_rate",
        ("no value is given",),
    ),
    "true for a section that is off by default": Bad(
        pool("deactivation: {slow: §true}"),
        "pools.text.deactivation.slow",
        ("expected a mapping", "found true"),
    ),
    "nothing for a section that is off by default": Bad(
        pool("deactivation: {slow:§ }"), "pools.text.deactivation.slow", ("no value is given",)
    ),
    "text for a boolean in a section of a section": Bad(
        pool("deactivation: {slow: {first_token: §yes}}"),
        "pools.text.deactivation.slow.first_token",
        ("true or false", "'yes'"),
    ),
    # Ranges
    "zero attempts": Bad(
        pool("retry: {max_attempts: §0}"), "pools.text.retry.max_attempts", ("at least 1", "0")
    ),
    "negative window": Bad(
        model("capabilities: [ocr], context_window: §-1"), f"{M}.context_window", ("above 0", "-1")
    ),
    "vectors of no length": Bad(
        model("capabilities: [ocr], dimensions: §0"), f"{M}.dimensions", ("above 0", "0")
    ),
    "length of vectors as text": Bad(
        model("capabilities: [ocr], dimensions: §many"),
        f"{M}.dimensions",
        ("a whole number", "'many'"),
    ),
    "vector space without a name": Bad(
        model('capabilities: [ocr], vector_space: §""'), f"{M}.vector_space", ("is empty",)
    ),
    "vector space from the environment": Bad(
        model('capabilities: [ocr], vector_space: §"${env:SET}"'),
        f"{M}.vector_space",
        ("must not come from a reference",),
    ),
    "vector space as a list": Bad(
        model("capabilities: [ocr], vector_space: §[a]"), f"{M}.vector_space", ("text", "a list")
    ),
    "negative price": Bad(
        model("capabilities: [ocr], price: {input: §-1, output: 0}"),
        f"{M}.price.input",
        ("at least 0",),
    ),
    "infinite price": Bad(
        model("capabilities: [ocr], price: {input: §1e999, output: 0}"),
        f"{M}.price.input",
        ("finite",),
    ),
    "jitter above one": Bad(
        pool("recovery: {jitter: §1.5}"), "pools.text.recovery.jitter", ("at most 1", "1.5")
    ),
    "all failures for the share of failures": Bad(
        pool("deactivation: {error_rate: §1.5}"),
        "pools.text.deactivation.error_rate",
        ("at most 1", "1.5"),
    ),
    "no failures for the share of failures": Bad(
        pool("deactivation: {error_rate: §0}"),
        "pools.text.deactivation.error_rate",
        ("above 0", "found the number 0"),
    ),
    "more outcomes than are kept": Bad(
        pool("deactivation: {of_last: §300}"),
        "pools.text.deactivation.of_last",
        ("at most 256", "300"),
    ),
    "more than all ejected": Bad(
        pool("deactivation: {max_ejected: §2}"),
        "pools.text.deactivation.max_ejected",
        ("at most 1", "2"),
    ),
    "no factor": Bad(
        pool("deactivation: {slow: {factor: §1}}"),
        "pools.text.deactivation.slow.factor",
        ("above 1, found the number 1",),
    ),
    "throttling below what is accepted": Bad(
        pool("deactivation: {throttling: {k: §0.9}}"),
        "pools.text.deactivation.throttling.k",
        ("at least 1", "the number 0.9"),
    ),
    "one model for a median": Bad(
        pool("deactivation: {slow: {min_models: §1}}"),
        "pools.text.deactivation.slow.min_models",
        ("at least 2",),
    ),
    "one model for an outage": Bad(
        pool("deactivation: {provider_outage: {models: §1}}"),
        "pools.text.deactivation.provider_outage.models",
        ("at least 2",),
    ),
    "no share for an outage": Bad(
        pool("deactivation: {provider_outage: {share: §0}}"),
        "pools.text.deactivation.provider_outage.share",
        ("above 0",),
    ),
    "negative budget": Bad(
        pool("retry: {budget: {per_second: §-1}}"),
        "pools.text.retry.budget.per_second",
        ("at least 0, found the number -1",),
    ),
    "no attempt on one model": Bad(
        pool("retry: {same_model: §0}"), "pools.text.retry.same_model", ("at least 1",)
    ),
    "no capabilities": Bad(
        model("capabilities: §[]"), f"{M}.capabilities", ("at least one name", "empty list")
    ),
    "zero duration": Bad(
        pool("retry: {deadline: §0s}"), "pools.text.retry.deadline", ("above 0 s", "'0s'")
    ),
    "empty vendor": Bad("providers: {a: {vendor: §''}}", "providers.a.vendor", ("empty",)),
    # Durations
    "duration without a unit": Bad(
        pool("retry: {deadline: §60}"),
        "pools.text.retry.deadline",
        ("expected a duration", "the number 60", "write 60s"),
    ),
    "duration that is none": Bad(
        pool("retry: {deadline: §soon}"), "pools.text.retry.deadline", ("250ms", "text 'soon'")
    ),
    "time of day for a duration": Bad(
        pool("retry: {deadline: §1:30}"), "pools.text.retry.deadline", ("text '1:30'",)
    ),
    "cooldown beyond the default cap": Bad(
        pool("recovery: {cooldown: §15s}"),
        "pools.text.recovery.cooldown",
        ("15s", "max_cooldown", "10s by default"),
    ),
    "cap below the default cooldown": Bad(
        pool("recovery: {max_cooldown: §1s}"),
        "pools.text.recovery.max_cooldown",
        ("2s by default", "which is 1s"),
    ),
    # Counts
    "more outcomes needed than looked at": Bad(
        pool("deactivation: {min_requests: §30}"),
        "pools.text.deactivation.min_requests",
        ("min_requests is 30, more than of_last", "20 by default"),
    ),
    "fewer outcomes looked at than needed": Bad(
        pool("deactivation: {of_last: §3}"),
        "pools.text.deactivation.of_last",
        ("min_requests is 5 by default", "which is 3"),
    ),
}
