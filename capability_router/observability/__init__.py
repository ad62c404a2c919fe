"""Where events and decisions go: sinks that are handed to ``router.observe``.

Knows records, not who routes. A sink is called in the thread that caused the record, and has to be
quick; what it raises harms nobody.
"""
