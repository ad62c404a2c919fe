"""Calls performed: attempts run within their limits, streams are joined, late threads called back.

What is decided about a call is the engine's; what an answer means is for those who read it.
"""
