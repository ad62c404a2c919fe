"""Lets ``python -m capability_router`` stand for ``capability-router``."""

from capability_router.cli import main

main()
