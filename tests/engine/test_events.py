"""Events as records: what they tell, and that JSON keeps it."""

import json
from dataclasses import replace

import pytest

from capability_router.engine.events import EventType, RoutingEvent
from capability_router.engine.reason import Reason
from tests.engine.building import Rig, model

EVENT = RoutingEvent(
    EventType.MODEL_DEACTIVATED, "chat", "a/x", 1.5, Reason.SLOW, 31.5, {"tried": ["b/y"]}
)


@pytest.mark.parametrize("kind", EventType)
def test_event_of_any_type_is_the_same_after_json(kind: EventType) -> None:
    event = replace(EVENT, type=kind)
    assert RoutingEvent.from_dict(json.loads(json.dumps(event.as_dict()))) == event


def test_event_without_an_end_is_the_same_after_json() -> None:
    event = replace(EVENT, until=None, details={})
    assert RoutingEvent.from_dict(json.loads(json.dumps(event.as_dict()))) == event


def test_record_does_not_share_its_details_with_the_event() -> None:
    record = EVENT.as_dict()
    RoutingEvent.from_dict(record).details["more"] = 1
    assert record["details"] == EVENT.details == {"tried": ["b/y"]}


def test_record_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no_such"):
        RoutingEvent.from_dict({**EVENT.as_dict(), "type": "no_such"})


def test_change_of_membership_says_which_way_it_went() -> None:
    rig = Rig()
    rig.router.add_pool("chat", "chat-completion")
    rig.router.register(model("a/x"))
    rig.router.deactivate("a/x")
    rig.router.unregister("a/x")
    kind = EventType.POOL_MEMBERSHIP_CHANGED
    changes = [(e.model, e.reason, e.until) for e in rig.events if e.type is kind]
    assert changes == [("a/x", "added", None), ("a/x", "removed", None)]
