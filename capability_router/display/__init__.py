"""How trees, pools, models, decisions, statistics and routers look in a notebook.

Each is shown as text and as HTML: no script, no style that it needs, no colour of its own, so
that it reads the same on light and dark, and with everything but the elements stripped. Whatever
was named elsewhere is escaped.

The engine knows nothing of it. Importing this package lends it the function below, and what that
function needs is imported when something is first shown.
"""

from __future__ import annotations

from capability_router.engine.displaying import Bundle, lend_display

__all__: list[str] = []


def _bundle(item: object) -> Bundle:
    # Here and not above: most programs never show anything.
    from capability_router.display.views import view  # noqa: PLC0415 - said above

    return view(item).bundle()


lend_display(_bundle)
