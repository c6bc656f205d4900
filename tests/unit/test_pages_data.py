"""The Data page: what it says of streams, refused items and drift, and the command that sends the first event."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import InvalidEvent
from backend.domain.parsing import parse
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import queries
from backend.services.ingest import reject_row
from backend.services.read_models import Freshness, Point
from dashboard import first_event, mending, rejects
from dashboard.context import Context, WebConfig
from dashboard.filters import parse as parse_filters
from dashboard.filters import scope
from dashboard.pages import data
from dashboard.view import View
from dashboard.zones import UTC_ZONE

NOW = 1_795_200_000_000_000
CONFIG = WebConfig(token="T")


def a_view(search: str = "") -> View:
    filters, _ = parse_filters(search)
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW)


def words(component: Any) -> str:
    """All text of a component tree."""
    if component is None or isinstance(component, bool):
        return ""
    if isinstance(component, str | int | float):
        return str(component)
    if isinstance(component, list | tuple):
        return " ".join(words(part) for part in component)
    return words(getattr(component, "children", None))


def stream(**changes: Any) -> dict[str, Any]:
    usual = {
        "event_type": "ib_call_logged",
        "events_1h": 8,
        "events_24h": 190,
        "last_us": NOW - HOUR // 2,
        "late_share": 0.0,
        "duplicates": 0,
        "rejects": 0,
        "usual_1h": 7.9,
    }
    return usual | changes


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (stream(), ("ok", "Delivers")),
        (stream(events_1h=0), ("warning", "Silent")),
        (stream(events_1h=0, usual_1h=0.3), ("ok", "Delivers")),
        (stream(last_us=NOW - 7 * HOUR), ("warning", "Old events")),
        (stream(last_us=None, events_1h=0, events_24h=0, usual_1h=None), ("unknown", "None in 24 h")),
        (stream(events_1h=0, events_24h=0, usual_1h=None), ("unknown", "Only the past")),
    ],
)
def test_a_stream_is_silent_only_when_it_is_usually_not(row: dict[str, Any], state: tuple[str, str]) -> None:
    assert data.stream_state(row, NOW) == state


def freshness(**changes: Any) -> Freshness:
    usual: dict[str, Any] = {
        "now_us": NOW,
        "last_event_us": NOW - HOUR,
        "last_received_us": NOW,
        "lag_ms_p50": 120.0,
        "lag_ms_p95": 1400.0,
        "backlog": 0,
        "swept_us": NOW,
        "events_per_s": 1.0,
        "total_events": 100,
        "simulated_events": 60,
        "duplicates": 3,
        "rejects": 0,
        "by_type": [stream()],
        "throughput": [],
    }
    return Freshness(**usual | changes)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([stream()], "The one stream delivers"),
        (
            [stream(), stream(event_type="session_started", events_1h=0)],
            "1 of 2 streams deliver, Session started is late",
        ),
        (
            [stream(), stream(event_type="x", last_us=None, events_24h=0, events_1h=0)],
            "1 of 2 streams deliver",
        ),
    ],
)
def test_the_title_names_the_stream_that_is_late(rows: list[dict[str, Any]], says: str) -> None:
    assert data.streams_title(freshness(by_type=rows)) == says


@pytest.mark.parametrize(
    ("minutes", "title", "sub"),
    [
        ([480] * 60, "480 events a minute", "mean of 5 minutes"),
        ([0] * 57 + [200, 480, 90], "480 events a minute", "mean of 1 minute"),
        ([0] * 59 + [90], "90 events in this minute", "90 in the last 60"),
        ([60] * 10 + [0] * 50, "No event in the last 5 minutes", "600 in the last 60"),
    ],
)
def test_the_rate_is_a_mean_of_whole_minutes_since_the_stream_began(
    minutes: list[int], title: str, sub: str
) -> None:
    last = NOW - NOW % MINUTE
    course = [Point(last - (59 - i) * MINUTE, float(n)) for i, n in enumerate(minutes)]
    drawn = words(data.flow_panel(freshness(throughput=course), a_view()))
    assert title in drawn
    assert sub in drawn
    assert f"{sum(minutes):,} in the last 60" in drawn


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (5 * 3600, "jumped 5.0 hours ahead"),
        (-5 * 3600, "jumped 5.0 hours back"),
        (86_400 * 3, "3.0 days ahead"),
    ],
)
def test_a_clock_that_was_set_is_said(seconds: int, says: str) -> None:
    assert says in words(data.clock_notice({"at_us": NOW, "seconds": seconds}, a_view()))


def test_own_and_simulated_events_are_told_apart() -> None:
    text = words(data.facts(freshness(), a_view()))
    assert "Your own events 40 of 100" in text
    assert "Simulated 60" in text
    assert "1.4 s" in text


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "iops.db")
    rows = []
    for item in [
        {"event_type": "session_started", "payload": {}},
        "text",
        {"event_type": "nope", "payload": {}},
    ]:
        with pytest.raises(InvalidEvent) as refused:
            parse(item, NOW)
        rows.append(reject_row(NOW, refused.value.violations, item, "crm"))
    store.keep_rejects(rows)
    store.add_tallies(NOW - NOW % DAY, {"duplicate": 4, "conflict": 2, "unknown:session_completed.mood": 31})
    return store


def test_refused_items_stand_with_reason_and_first_error(store: SqliteStore) -> None:
    text = words(rejects.area(store, a_view()))
    assert "3 items were refused" in text
    assert "Missing field" in text
    assert "session_id is missing" in text


def test_one_refused_item_opens_with_all_errors_and_its_body(store: SqliteStore) -> None:
    row = queries.rejects(store).rows[-1]
    text = words(rejects.area(store, a_view(f"?open={row.reject_id}")))
    assert "Body as received" in text
    assert row.errors[0]["message"] in text
    assert '"event_type": "session_started"' in text


def test_an_item_that_is_no_longer_kept_is_said_so(store: SqliteStore) -> None:
    assert "No longer kept" in words(rejects.area(store, a_view("?open=99999")))


def test_doubles_contradictions_and_unknown_fields_are_counted(store: SqliteStore) -> None:
    text = words(data.drift_panel(data.tallies(store), a_view()))
    assert "1 unknown field, kept but not read" in text
    assert "mood" in text
    assert re.search(r"counted once\s+4", text)
    assert re.search(r"refused\s+2", text)


@pytest.mark.parametrize(
    ("body", "shown"), [('{"a":1}', '{\n  "a": 1\n}'), ("not json", "not json"), ("[" * 50_000, "…")]
)
def test_a_body_is_laid_out_or_shown_as_it_came(body: str, shown: str) -> None:
    text = rejects.pretty(body)
    assert shown in text
    assert len(text) < 30_000


def test_the_command_sends_an_event_that_is_accepted() -> None:
    text = first_event.command(CONFIG, NOW)
    sent = json.loads(re.search(r"-d '(.*)'$", text, re.S)[1])  # type: ignore[index]  # the command has a body
    assert parse(sent, NOW).event.event_type == "session_completed"
    assert f"{first_event.LOCAL_API}/v1/events" in text
    assert "$IOPS_INGEST_KEY" in text


def test_the_command_reads_the_key_where_this_installation_keeps_it() -> None:
    kept = WebConfig(token="T", key_file="/data of mine/ingest-key")
    assert "X-API-Key: $(cat '/data of mine/ingest-key')" in first_event.command(kept, NOW)


def test_the_page_of_an_empty_store_leads_to_the_first_event(tmp_path: Path) -> None:
    empty = SqliteStore(tmp_path / "iops.db")
    text = words(data.body(Context(empty, lambda: NOW, CONFIG), a_view()))
    assert "No event was received yet" in text
    assert "Send the first event" in text
    assert "Nothing was refused" in text
    assert "could not be read" not in text


def test_one_panel_that_cannot_be_read_leaves_the_others(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Freshness:
        raise OSError("disk")

    monkeypatch.setattr(queries, "freshness", broken)
    text = words(data.body(Context(store, lambda: NOW, CONFIG), a_view()))
    assert "The state of the data could not be read" in text
    assert "3 items were refused" in text
    assert "disk" not in text


def test_the_command_names_the_address_of_this_installation() -> None:
    assert "http://10.0.0.5:9000/v1/events" in first_event.command(
        WebConfig(token="T", api_url="http://10.0.0.5:9000"), NOW
    )


def test_a_refused_item_can_be_corrected_and_sent_again_from_its_drawer(store: SqliteStore):
    number = queries.rejects(store).rows[-1].reject_id
    good = {
        "event_type": "ib_call_logged",
        "event_id": "mended",
        "payload": {"call_id": "m1", "student_id": "stu_9"},
    }
    ctx = Context(reads=store, clock=lambda: NOW, config=CONFIG)
    done, said = mending.replayed(ctx, a_view(), number, "{")
    assert (done, "not JSON" in said) == (False, True)
    assert mending.replayed(ctx, replace(a_view(), role="viewer"), number, json.dumps(good))[0] is False
    assert mending.replayed(ctx, a_view(), number, json.dumps(good)) == (True, "Sent again and accepted")
    shown = words(rejects.area(store, a_view(f"?open={number}")))
    assert "Sent again" in shown
    assert "Correct it and send it again" not in shown


def test_what_counts_all_streams_does_not_say_that_it_was_filtered(store: SqliteStore) -> None:
    view = a_view("?student=maya")
    fresh = queries.freshness(store, NOW)
    for panel in (
        data.streams_panel(fresh, view),
        data.flow_panel(fresh, view),
        data.drift_panel({}, view),
    ):
        said = words(panel)
        assert "All streams, " in said
        assert "maya" not in said
