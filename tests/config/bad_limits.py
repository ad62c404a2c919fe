"""Documents with a wrong limit, quota or moment of the calendar; § stands where it is."""

from tests.config.bad import Bad, M, model, pool


def own(settings: str) -> str:
    return model(f"capabilities: [ocr], price: {{input: 1, output: 1}}, {settings}")


def maintenance(settings: str) -> str:
    return pool(f"deactivation: {{maintenance: [{settings}]}}")


def resets(written: str) -> str:
    return pool(f"recovery: {{quota_resets: {written}}}")


WINDOW = "pools.text.deactivation.maintenance[0]"
RESETS = "pools.text.recovery.quota_resets"

LIMITS = {
    # Limits in rolling windows
    "limit without a window": Bad(
        own("limits: {requests: §30}"),
        f"{M}.limits.requests",
        ("expected AMOUNT/WINDOW such as 30/minute", "the number 30"),
    ),
    "budget without a window among the limits": Bad(
        own("limits: {usd: §30}"), f"{M}.limits.usd", ("AMOUNT/WINDOW", "the number 30")
    ),
    "limit with a misspelt window": Bad(
        own("limits: {requests: §30/minut}"),
        f"{M}.limits.requests",
        ("'30/minut'", "second, minute, hour, day, week, or a duration such as 90s"),
        "30/minute",
    ),
    "limit with blanks": Bad(
        own("limits: {tokens: [1/day, §6000 / minute]}"),
        f"{M}.limits.tokens[1]",
        ("'6000 / minute'",),
        "6000/minute",
    ),
    "limit with a suffix": Bad(
        own("limits: {tokens: §6k/minute}"), f"{M}.limits.tokens", ("plain digits", "'6k/minute'")
    ),
    "limit below zero": Bad(
        own("limits: {tokens: §-1/minute}"), f"{M}.limits.tokens", ("'-1/minute'",)
    ),
    "limit without a length": Bad(
        own("limits: {tokens: §1/0s}"), f"{M}.limits.tokens", ("'1/0s'", "duration such as 90s")
    ),
    "limit of nothing": Bad(
        own("limits: {requests: §0/minute}"), f"{M}.limits.requests", ("too little", "1")
    ),
    "part of a request": Bad(
        own("limits: {requests: §1.5/minute}"),
        f"{M}.limits.requests",
        ("a whole amount", "'1.5/minute'"),
    ),
    "mapping for a limit": Bad(
        own("limits: {requests: §{minute: 30}}"), f"{M}.limits.requests", ("found a mapping",)
    ),
    "nothing for a limit": Bad(
        own("limits: {requests:§ }"), f"{M}.limits.requests", ("no value is given",)
    ),
    "text for the limits": Bad(
        own("limits: §30/minute"), f"{M}.limits", ("expected a mapping", "'30/minute'")
    ),
    "two limits with one window": Bad(
        own("limits: {requests: §[60/minute, 30/1m]}"), f"{M}.limits.requests", ("same window",)
    ),
    "limit by the month": Bad(
        own("limits: {tokens: §1000000/month}"), f"{M}.limits.tokens", ("under quota",)
    ),
    "unknown unit": Bad(
        own("limits: {§token: 1/day}"),
        f"{M}.limits.token",
        ("requests, input_tokens, output_tokens, tokens, usd",),
        "tokens",
    ),
    "limit of a provider, whose values are not shown": Bad(
        "providers: {a: {limits: {requests: §30/hours}}}",
        "providers.a.limits.requests",
        ("found text", "30/minute"),
        "30/hour",
    ),
    "key in the place of a limit": Bad(
        "providers: {a: {limits: {requests: §sk-canary}}}",
        "providers.a.limits.requests",
        ("found text",),
    ),
    "limit from the environment": Bad(
        own("limits: {requests: §'${env:SET}'}"), f"{M}.limits.requests", ("'${env:SET}'",)
    ),
    "money without a price": Bad(
        model("capabilities: [ocr], limits: {§usd: 5/day}"), f"{M}.limits.usd", ("price",)
    ),
    # Attempts in flight
    "no attempt at once": Bad(
        own("limits: {concurrency: §0}"), f"{M}.limits.concurrency", ("at least 1", "number 0")
    ),
    "part of an attempt": Bad(
        own("limits: {concurrency: §1.5}"), f"{M}.limits.concurrency", ("a whole number",)
    ),
    "boolean for attempts at once": Bad(
        own("limits: {concurrency: §true}"), f"{M}.limits.concurrency", ("found true",)
    ),
    "misspelt way to find out how many attempts": Bad(
        own("limits: {concurrency: §adaptiv}"),
        f"{M}.limits.concurrency",
        ("adaptive, or a mapping with initial, min, max and tolerance", "'adaptiv'"),
    ),
    "rate for attempts at once": Bad(
        own("limits: {concurrency: §8/minute}"), f"{M}.limits.concurrency", ("'8/minute'",)
    ),
    "attempts at once from the environment": Bad(
        own("limits: {concurrency: §'${env:SET}'}"),
        f"{M}.limits.concurrency",
        ("'${env:SET}'", "what a reference stands for is text"),
    ),
    "least of no attempt": Bad(
        own("limits: {concurrency: {min: §0}}"), f"{M}.limits.concurrency.min", ("at least 1",)
    ),
    "tolerance that tolerates nothing": Bad(
        own("limits: {concurrency: {tolerance: §0.5}}"),
        f"{M}.limits.concurrency.tolerance",
        ("at least 1", "the number 0.5"),
    ),
    "limits of attempts that are out of order": Bad(
        own("limits: {concurrency: §{initial: 9, max: 8}}"),
        f"{M}.limits.concurrency",
        ("initial 9 must be between min 1 and max 8",),
    ),
    "unknown setting of attempts at once": Bad(
        own("limits: {concurrency: {§maxx: 8}}"),
        f"{M}.limits.concurrency.maxx",
        ("initial, min, max, tolerance",),
        "max",
    ),
    "attempts at once of a provider": Bad(
        "providers: {a: {limits: {§concurrency: 8}}}",
        "providers.a.limits.concurrency",
        ("unknown key", "tokens, usd"),
    ),
    # Quotas in windows of the calendar
    "quota with a rolling window": Bad(
        own("quota: {requests: §30/90s}"), f"{M}.quota.requests", ("under limits",)
    ),
    "quota by the second": Bad(
        own("quota: {requests: §30/second}"), f"{M}.quota.requests", ("under limits",)
    ),
    "quota with a misspelt window": Bad(
        own("quota: {requests: §30/mnth}"),
        f"{M}.quota.requests",
        ("minute, hour, day, week, month",),
        "30/month",
    ),
    "quota without a window": Bad(
        own("quota: {requests: §30}"), f"{M}.quota.requests", ("AMOUNT/WINDOW", "the number 30")
    ),
    "text for a budget": Bad(
        own("quota: {usd: §much}"), f"{M}.quota.usd", ("'much'", "a number alone is a total")
    ),
    "budget of nothing": Bad(own("quota: {usd: §0}"), f"{M}.quota.usd", ("too little",)),
    "infinite budget": Bad(own("quota: {usd: §1e999}"), f"{M}.quota.usd", ("finite",)),
    "boolean for a budget": Bad(own("quota: {usd: §true}"), f"{M}.quota.usd", ("found true",)),
    "quota that resets at no time": Bad(
        own("quota: {requests: 1/day, resets: §midnight}"),
        f"{M}.quota.resets",
        ("'00:00 America/Los_Angeles'", "'midnight'"),
    ),
    "quota that resets in no zone": Bad(
        own("quota: {requests: 1/day, resets: §00:00 Europe/Berln}"),
        f"{M}.quota.resets",
        ("IANA name", "'00:00 Europe/Berln'", "capability-router[schedules]"),
        "Europe/Berlin",
    ),
    "number for a reset": Bad(
        own("quota: {requests: 1/day, resets: §0}"), f"{M}.quota.resets", ("the number 0",)
    ),
    "reset from the environment": Bad(
        own("quota: {requests: 1/day, resets: §'00:00 ${env:SET}'}"),
        f"{M}.quota.resets",
        ("'00:00 ${env:SET}'",),
    ),
    # Dates
    "day that is none": Bad(
        own("deprecated_on: §2026-02-30"),
        f"{M}.deprecated_on",
        ("a date such as 2026-12-31", "'2026-02-30'"),
    ),
    "date in another order": Bad(own("deprecated_on: §31.12.2026"), f"{M}.deprecated_on", ()),
    "date without hyphens": Bad(
        own("deprecated_on: §20261231"), f"{M}.deprecated_on", ("the number 20261231",)
    ),
    # Maintenance
    "text for maintenance": Bad(
        pool("deactivation: {maintenance: §nightly}"),
        "pools.text.deactivation.maintenance",
        ("expected a mapping", "'nightly'"),
    ),
    "cron with a field too few": Bad(
        maintenance("{cron: §0 3 * *, duration: 2h}"),
        f"{WINDOW}.cron",
        ("the text '0 3 * *' is malformed: it has 4 fields", "'0 3 * * SUN'"),
    ),
    "cron with a misspelt day": Bad(
        maintenance("{cron: §0 3 * * SUM, duration: 2h}"), f"{WINDOW}.cron", ("day-of-week",)
    ),
    "cron with a day that no month has": Bad(
        maintenance("{cron: §0 3 30 FEB *, duration: 2h}"), f"{WINDOW}.cron", ("'0 3 30 FEB *'",)
    ),
    "cron from the environment": Bad(
        maintenance("{cron: §'${env:SET}', duration: 2h}"), f"{WINDOW}.cron", ("'${env:SET}'",)
    ),
    "maintenance of more than a year": Bad(
        maintenance("{cron: 0 3 1 1 *, duration: §400d}"),
        f"{WINDOW}.duration",
        ("at most 31622400 s", "'400d'"),
    ),
    "maintenance without end": Bad(
        maintenance("§{cron: '* * * * *', duration: 2m}"), WINDOW, ("before the last has ended",)
    ),
    "maintenance in no zone": Bad(
        maintenance("{cron: 0 3 * * *, duration: 2h, zone: §Europe/Berln}"),
        f"{WINDOW}.zone",
        ("'Europe/Berln'",),
        "Europe/Berlin",
    ),
    # Resets of a provider's quota
    "number for a provider's reset": Bad(resets("§0"), RESETS, ("or a mapping with every",)),
    "provider's reset at no time": Bad(resets("§24:00"), RESETS, ("'24:00'",)),
    "unknown period": Bad(
        resets("{every: §moth}"), f"{RESETS}.every", ("minute, hour, day, week, month",), "month"
    ),
    "time with seconds": Bad(
        resets("{at: §'00:00:00'}"), f"{RESETS}.at", ("00:00 to 23:59", "'00:00:00'")
    ),
    "number for a time": Bad(resets("{at: §7}"), f"{RESETS}.at", ("expected text",)),
    "unknown zone": Bad(
        resets("{zone: §Mars/Phobos}"), f"{RESETS}.zone", ("IANA name", "'Mars/Phobos'")
    ),
    "day that not every month has": Bad(
        resets("§{every: month, day: 31}"), RESETS, ("day 31 of the month", "1 and 28")
    ),
}
