"""Documents that name a wrong strategy or function, or tell it what is wrong; § stands there."""

from tests.config.bad import MODELS, Bad, pool

ALLOWED = "allow_imports: true\n"
OWN = "tests.config.own"
AT = "pools.text.strategy"


def strategy(written: str) -> str:
    return ALLOWED + pool(f"strategy: {written}")


def tuned(parameters: str) -> str:
    return strategy(f"{{name: '{OWN}:Tuned', weights: {{a: 1}}, {parameters}}}")


PLUGINS = {
    # Names
    "unknown strategy": Bad(
        pool("strategy: §prioritty"), AT, ("'prioritty'", "priority, rate-limit-aware"), "priority"
    ),
    "unknown strategy in a mapping": Bad(
        pool("strategy: {name: §prioritty}"), f"{AT}.name", ("'prioritty'",), "priority"
    ),
    "unknown strategy from the environment": Bad(
        pool("strategy: {name: §'${env:SET}'}"), f"{AT}.name", ("'${env:SET}'",)
    ),
    "number for a strategy": Bad(pool("strategy: §3"), AT, ("name of a strategy, or a mapping",)),
    "number for the name of a strategy": Bad(
        pool("strategy: {name: §3}"), f"{AT}.name", ("expected text", "the number 3")
    ),
    "strategy without a name": Bad(
        pool("§strategy: {fallback: priority}"), f"{AT}.name", ("'name' is missing",)
    ),
    "nothing for the name of a strategy": Bad(
        pool("strategy: {name:§ }"), f"{AT}.name", ("no value is given",)
    ),
    # Import paths
    "import path that is not allowed": Bad(
        pool("strategy: §os:getcwd"), AT, ("allow_imports: true", "round-robin")
    ),
    "import path to nowhere": Bad(
        strategy("§no_such_module:X"), AT, ("'no_such_module:X'", "ModuleNotFoundError")
    ),
    "import path to a value": Bad(strategy("§os:sep"), AT, ("function",)),
    "import path from the environment": Bad(
        strategy("§'${env:SET}:x'"), AT, ("cannot be imported",)
    ),
    # Parameters
    "unknown parameter": Bad(
        pool("strategy: {name: priority, §fallbck: round-robin}"),
        f"{AT}.fallbck",
        ("unknown parameter 'fallbck' of 'priority'", "allowed: fallback"),
        "fallback",
    ),
    "parameter of a strategy that takes none": Bad(
        pool("strategy: {name: round-robin, §weights: {a: 1}}"), f"{AT}.weights", ("none",)
    ),
    "parameter as the code calls it": Bad(
        tuned("§slow_start_s: 30s"), f"{AT}.slow_start_s", ("unknown",), "slow_start"
    ),
    "strategy without the function it scores with": Bad(
        pool("strategy: §scored"),
        AT,
        ("the parameter 'score' of 'scored' is missing; write {name: scored, score: ...}",),
    ),
    "function to score with that is not allowed": Bad(
        pool(f"strategy: {{name: scored, score: §{OWN}:tokens_left}}"),
        f"{AT}.score",
        ("allow_imports: true",),
    ),
    "missing parameter": Bad(
        strategy(f"§{OWN}:Tuned"),
        AT,
        ("'weights'", f"is missing; write {{name: {OWN}:Tuned, weights: ...}}"),
    ),
    "missing parameter beside a name": Bad(
        ALLOWED + pool(f"§strategy: {{name: '{OWN}:Tuned'}}"), f"{AT}.weights", ("is missing",)
    ),
    "nothing for a parameter": Bad(tuned("share:§ "), f"{AT}.share", ("no value is given",)),
    "number for a parameter in seconds": Bad(
        tuned("slow_start: §30"), f"{AT}.slow_start", ("expected a duration", "write 30s")
    ),
    "text for a parameter in seconds": Bad(
        tuned("slow_start: §soon"), f"{AT}.slow_start", ("expected a duration", "'soon'")
    ),
    "unknown strategy for a parameter": Bad(
        pool("strategy: {name: priority, fallback: §round-robn}"),
        f"{AT}.fallback",
        ("'round-robn'",),
        "round-robin",
    ),
    "unknown parameter of a parameter": Bad(
        pool("strategy: {name: priority, fallback: {name: round-robin, §x: 1}}"),
        f"{AT}.fallback.x",
        ("'round-robin'", "none"),
    ),
    "list for a strategy within a strategy": Bad(
        tuned("other: §[priority]"), f"{AT}.other", ("name of a strategy", "a list")
    ),
    "name for a function": Bad(
        tuned("score: §wants_small"), f"{AT}.score", ("my_package.my_module:my_function",)
    ),
    "number for a function": Bad(tuned("score: §3"), f"{AT}.score", ("import path", "number 3")),
    "function that is not there": Bad(
        tuned(f"score: §{OWN}:wants_big"), f"{AT}.score", ("AttributeError",)
    ),
    "text for a number": Bad(tuned("share: §half"), f"{AT}.share", ("expected a number", "'half'")),
    "number from the environment for a parameter": Bad(
        tuned("share: §'${env:SET}'"),
        f"{AT}.share",
        ("'${env:SET}'", "a reference stands for is text"),
    ),
    "list for a mapping of numbers": Bad(
        strategy(f"{{name: '{OWN}:Tuned', weights: §[a]}}"),
        f"{AT}.weights",
        ("expected a mapping", "a list"),
    ),
    "text in a mapping of numbers": Bad(
        strategy(f"{{name: '{OWN}:Tuned', weights: {{a: 1, b/m: §x}}}}"),
        f"{AT}.weights.'b/m'",
        ("expected a number", "'x'"),
    ),
    "yes for a boolean parameter": Bad(
        pool("strategy: {name: latency-first, first_token: §yes}"),
        f"{AT}.first_token",
        ("true or false", "'yes'"),
    ),
    "weight of an unknown model": Bad(
        MODELS + pool("strategy: {name: weighted, weights: {openai: 2, §openai/gpt-4: 1}}"),
        f"{AT}.weights.'openai/gpt-4'",
        ("neither under models nor under providers",),
        "openai/gpt-4o",
    ),
    # What the strategy itself objects to
    "value out of a parameter's range": Bad(
        tuned("share: §2"), f"{AT}.share", ("share 2 must be between 0 and 1",)
    ),
    "value out of the range of a strategy that ships": Bad(
        pool("strategy: {name: rate-limit-aware, switch_at: §80}"),
        f"{AT}.switch_at",
        ("switch_at 80 must be above 0 and at most 1",),
    ),
    "word that a strategy that ships does not know": Bad(
        pool("strategy: {name: load-balanced, by: §share}"), f"{AT}.by", ("relative, absolute",)
    ),
    "duration out of a parameter's range": Bad(
        tuned("slow_start: §2h"), f"{AT}.slow_start", ("at most 3600",)
    ),
    "value of a type that a parameter does not take": Bad(
        tuned("only: [a]").replace("{name", "§{name"), AT, ("cannot be made: TypeError",)
    ),
    "value that a strategy does not like": Bad(
        strategy(f"§{{name: '{OWN}:Tuned', weights: {{}}}}"),
        AT,
        ("cannot be made: there must be a weight",),
    ),
    "strategy that fails": Bad(strategy(f"§{OWN}:broken"), AT, ("RuntimeError: no network",)),
    "function that takes nothing": Bad(strategy("§os:getcwd"), AT, ("TypeError",)),
    "function that makes something else": Bad(
        strategy(f"§{OWN}:nothing"), AT, ("'str'", "lacks admit, withdraw, choose, chosen")
    ),
    # Functions of a pool
    "function that is not allowed": Bad(
        pool("select: §os:getenv"), "pools.text.select", ("allow_imports: true",)
    ),
    "number for the function of a pool": Bad(
        pool("select: §3"), "pools.text.select", ("import path of a function", "number 3")
    ),
    "name for the function of a pool": Bad(
        ALLOWED + pool("select: §mine"), "pools.text.select", ("'mine'",)
    ),
    "function of a pool that is not there": Bad(
        ALLOWED + pool(f"select: §{OWN}:wants_big"), "pools.text.select", ("AttributeError",)
    ),
    "nothing for the function of a pool": Bad(
        pool("select:§ "), "pools.text.select", ("no value is given",)
    ),
}
