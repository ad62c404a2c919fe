"""Pure routing decisions: what is chosen, what leaves, what may return.

Nothing in this package reads a clock, sleeps, starts a thread, opens a socket or file, logs or
draws from the global random source; whatever it needs of the world is handed in.
"""
