"""What a router does, shown to people while it happens: the live page and the ``watch`` command.

``view`` rebuilds the state from records and knows neither file nor router. ``sources`` and ``log``
bring the records: from a router of this process, and from the log of another one.
"""
