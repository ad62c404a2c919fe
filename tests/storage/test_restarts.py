"""What outlasts a process that is killed without a word."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from capability_router.router import CapabilityRouter

CONFIG = """
providers:
  alpha: {{base_url: "http://127.0.0.1:1/v1"}}
models:
  alpha/ordered: {{capabilities: [chat-completion]}}
  alpha/refused: {{capabilities: [chat-completion]}}
  alpha/used: {{capabilities: [chat-completion], quota: {{requests: 100/month, strict: true}}}}
  alpha/paid:
    capabilities: [text-embeddings]
    price: {{input: 1, output: 1}}
    quota: {{usd: 10/month}}
pools:
  chat: {{hierarchy_node: chat-completion, strategy: priority}}
  vectors: {{hierarchy_node: text-embeddings}}
state: sqlite:///{folder}/state.db
"""

# Does a little of everything, waits until it is told, and then for its end.
VICTIM = """
import sys, time
from capability_router import CapabilityRouter, Failure, FailureKind, Outcome, Usage
from capability_router.engine.request import CompletionRequest
router = CapabilityRouter.from_yaml(sys.argv[1])
router.deactivate("alpha/ordered", "by a person")
def attempt(model, outcome, node="chat-completion"):
    lease = router.select(CompletionRequest(node, model=model, input_tokens=1_000_000))
    router.report(lease, outcome)
attempt("alpha/refused", Outcome(failure=Failure(FailureKind.RATE_LIMITED, retry_after_s=3600.0)))
made = 0
while made < 60:
    try:
        attempt("alpha/used", Outcome())
        made += 1
    except Exception:
        time.sleep(0.01)
attempt("alpha/paid", Outcome(usage=Usage(3_000_000, 0)), "text-embeddings")
time.sleep(3)
print("told", flush=True)
time.sleep(600)
"""


def test_orders_cooldowns_quotas_and_budgets_outlast_a_process_that_is_killed(
    tmp_path: Path,
) -> None:
    config = tmp_path / "router.yaml"
    config.write_text(CONFIG.format(folder=tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(config)], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "told\n"
        victim.send_signal(signal.SIGKILL)
    with closing(CapabilityRouter.from_yaml(config)) as router:
        standby = {each.model: each for each in router.pool("chat").get_standby()}
        assert standby["alpha/ordered"].reason == "by a person"
        assert standby["alpha/ordered"].until is None
        refused = standby["alpha/refused"]
        assert refused.reason == "rate_limited"
        assert refused.until is not None
        assert refused.until - router.clock.now() == pytest.approx(3600, abs=120)
        (quota,) = router.pool("chat").forecast()
        # What the dead process had reserved may be used up as well.
        assert 60 <= quota.taken <= 70
        (budget,) = router.pool("vectors").forecast()
        assert budget.taken == pytest.approx(3.0)
