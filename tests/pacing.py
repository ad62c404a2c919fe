"""A limit in plain seconds, for tests of what holds it."""

from math import inf

from capability_router.driving.hanging_up import limited
from capability_router.driving.pace import Pace


def hung_up_after(seconds: float) -> limited:
    return limited(Pace("answer", seconds, inf, inf))
