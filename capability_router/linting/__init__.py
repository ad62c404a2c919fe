"""Look for what is doubtful in a configuration that can be used.

``CapabilityRouter.from_yaml`` refuses what is wrong. This finds what is allowed and will hurt: a
pool that one outage empties, a key that nobody uses, a quota below the load. Each rule is a
function from a ``Plan`` to its findings; ``linter`` holds a file against all of them.
"""
