"""The table of events: rows in plain words, obeying every filter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.domain.times import DAY, HOUR
from backend.services import queries_log
from dashboard import markup
from dashboard.filters import Filters, scope
from dashboard.pages import events
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW, call, fold_all, open_store, session


def view(**chosen: Any) -> View:
    filters = Filters(**chosen)
    return View(filters, scope(filters, NOW, UTC_ZONE), UTC_ZONE, NOW)


def test_the_newest_come_first_in_words_and_every_filter_holds(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    held = session("s", NOW - HOUR, rating=5, actual_duration_minutes=60, received_us=NOW)
    store.append([held, call("c", NOW - 60_000_000, student_id="stu_2"), session("old", NOW - 3 * DAY)])
    fold_all(store, NOW)
    first, second = queries_log.newest_events(store, view().scope)
    assert (first.event_id, first.type, first.student) == ("c", "IB call logged", "stu_2")
    assert (second.what, second.late_s, second.source) == (
        "Algebra session completed, stu_1 with tut_1, 60 min, rated 5 of 5",
        3_600,
        "test",
    )
    assert [e.event_id for e in queries_log.newest_events(store, view(student="stu_2").scope)] == ["c"]
    assert [e.event_id for e in queries_log.newest_events(store, view(region="west").scope)] == ["s"]
    calls = view(own=(("type", "ib_call_logged,nonsense"),))
    assert events.types(calls) == ("ib_call_logged",)
    assert [e.event_id for e in queries_log.newest_events(store, calls.scope, types=events.types(calls))] == [
        "c"
    ]
    both = view(own=(("type", "session_started,session_completed"),))
    assert "Session started, Session completed" in str(markup.nodes(events.kinds(both)))
    assert "No session started or session completed happened in" in str(
        markup.nodes(events.nothing(both, True))
    )
    assert queries_log.newest_events(store, view(tutor="nobody").scope) == []
    assert len(queries_log.newest_events(store, view(range="30d").scope, limit=2)) == 2
    line = events.row(second, view())
    assert line["time"] == f"{UTC_ZONE.local(NOW - HOUR):%Y-%m-%d %H:%M:%S}"
    assert set(line) == {column["field"] for column in events._COLUMNS}
    said = str(markup.nodes(events.facts([first, second], view())))
    assert "all of last 24 h" in said
    store.close()


def test_without_an_event_one_panel_says_why_and_what_to_do() -> None:
    narrow = view(region="west", own=(("type", "ib_call_logged"),))
    said = str(markup.nodes(events.nothing(narrow, True)))
    assert all(words in said for words in ("Nothing came", "Of any type", "Clear filters", "Look at 30 days"))
    assert "No IB call logged of west happened" in said
    wide = str(markup.nodes(events.nothing(view(range="30d"), True)))
    assert not any(words in wide for words in ("Of any type", "Clear filters", "Look at 30 days"))
    assert "How to send the first event" in str(markup.nodes(events.nothing(view(), False)))
