"""How long requests wait: worked out by hand on a small log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.parsing import parse
from backend.domain.times import DAY, HOUR, iso
from backend.services.queries_waits import waits
from backend.services.read_models import Scope
from dashboard import waits_panel
from tests.unit.test_pages_data import a_view, words

NOW = 1_795_200_000_000_000
WEEK = Scope(at_us=NOW, start_us=NOW - 7 * DAY)


@pytest.fixture
def store(tmp_path: Path):
    opened = SqliteStore(tmp_path / "iops.db")
    yield opened
    opened.close()


def sent(kind: str, hours_ago: float, student: str = "maya", subject: str = "algebra", **fields: Any) -> dict:
    payload = {"student_id": student, "subject": subject, **fields}
    if kind.startswith("session"):
        payload |= {"session_id": f"s{hours_ago}{student}", "tutor_id": "tara"}
    return {"event_type": kind, "occurred_at": iso(NOW - round(hours_ago * HOUR)), "payload": payload}


def put(store: SqliteStore, *events: dict) -> None:
    store.append([parse(event, NOW, "tests") for event in events])


def test_a_request_is_taken_by_the_first_session_after_it(store):
    put(
        store,
        sent("session_completed", 60),
        sent("booking_requested", 50),
        sent("session_completed", 40, subject="chess"),
        sent("session_completed", 30, was_cancelled=True),
        sent("session_started", 26),
        sent("session_completed", 25),
    )
    (row,) = waits(store, WEEK)
    assert (row.subject, row.asked, row.taken, row.waiting) == ("algebra", 1, 1, 0)
    assert row.median_h == pytest.approx(24)
    assert [point.value for point in row.course] == pytest.approx([24])


def test_acceptance_counts_and_what_waits_is_told(store):
    put(
        store,
        sent("booking_requested", 20),
        sent("booking_requested", 14, accepted=True),
        sent("booking_requested", 9, student="noah"),
        sent("booking_requested", 3, student="noah", subject="chess", accepted=True),
    )
    algebra, chess = waits(store, WEEK)
    assert (algebra.subject, algebra.asked, algebra.taken, algebra.waiting) == ("algebra", 3, 2, 1)
    assert algebra.median_h == pytest.approx(3)  # one waited six hours, one none
    assert algebra.longest_h == pytest.approx(9)
    assert (chess.subject, chess.median_h, chess.longest_h) == ("chess", 0, None)


def test_filters_and_range_are_obeyed(store):
    put(store, sent("booking_requested", 20), sent("booking_requested", 300))
    assert [row.asked for row in waits(store, WEEK)] == [1]
    elsewhere = Scope(at_us=NOW, start_us=NOW - 7 * DAY, subject="chess")
    assert waits(store, elsewhere) == []


def test_the_panel_leads_with_the_longest_wait(store):
    put(store, sent("booking_requested", 30, subject="chess"), sent("session_started", 10, subject="chess"))
    put(store, sent("booking_requested", 20), sent("session_started", 18))
    put(store, sent("booking_requested", 5, student="noah"))
    rows = waits(store, WEEK)
    assert waits_panel.title(rows) == "Chess waits longest: 20.0 h; 1 request still unanswered"
    (panel,) = waits_panel.panels(rows, a_view())
    assert "Median wait" in words(panel)
    assert waits_panel.panels([], a_view()) == []
