"""What holds for every test."""

import os

from hypothesis import settings

# Read when litellm is first imported, which is why it stands above everything that might do so:
# without it that import asks the network for prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

# The same examples on every run, so that a red build is red for its change; `explore` looks
# further. No deadline: how long an example takes says more about the machine than the code.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("repeatable")
