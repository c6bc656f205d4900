"""The frame of an event judged in one go says the same as field by field."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain import parsing
from backend.domain.errors import InvalidEvent
from backend.domain.times import DAY, iso
from tests.builders import NOW

GOOD: dict[str, Any] = {
    "event_id": "e1",
    "event_type": "ib_call_logged",
    "occurred_at": iso(NOW - DAY),
    "source": "crm",
    "payload": {"student_id": "stu_1", "reason": "billing", "student_name": "Zoe\u0308"},
}


def judged(item: dict[str, Any]) -> Any:
    try:
        return parsing.parse(item, NOW, "sender")
    except InvalidEvent as error:
        return error.violations


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"source": None},
        {"source": 7},
        {"event_id": None},
        {"event_id": " x"},
        {"event_id": "Zoe\u0308"},
        {"event_id": None, "id": "other"},
        {"id": 7},
        {"occurred_at": None},
        {"occurred_at": None, "timestamp": "2026-01-05T16:00:00-05:00"},
        {"occurred_at": "yesterday", "timestamp": "2026-01-05T16:00:00Z"},
        {"occurred_at": "2026-01-05T16:00:00"},
        {"occurred_at": iso(NOW + DAY)},
        {"occurred_at": "1970-01-01T00:00:00Z"},
        {"timestamp": 5},
        {"time": 5},
        {"payload": {"student_id": "", "reason": "nothing", "extra": 1}},
        {"specversion": "1.0", "id": "c1", "type": "x.ib_call_logged", "data": {"student_id": "s"}},
    ],
)
def test_both_ways_judge_alike(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    item = GOOD | changes
    quick = judged(item)
    monkeypatch.setattr(parsing, "_frame", lambda _item: None)
    assert quick == judged(item)


def test_text_is_composed_where_it_is_not_plain() -> None:
    assert judged(GOOD).event.payload["student_name"] == "Zo\u00eb"
    assert judged(GOOD | {"event_id": "Zoe\u0308"}).event.event_id == "Zo\u00eb"
