"""The page of a subject or region: what it says, of whom, and what it says of a place that nobody named."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, HOUR
from dashboard import lookup, place
from dashboard.context import Context, WebConfig
from dashboard.filters import parse as parse_filters
from dashboard.filters import scope
from dashboard.pages import entity_id, page_at
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW, call, session
from tests.unit.test_pages_data import words


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "iops.db")
    entries = [
        session(f"s{i}", NOW - i * DAY - HOUR, student_id=f"st_{i % 3}", subject="algebra", region="west")
        for i in range(9)
    ]
    entries += [session("other", NOW - HOUR, student_id="st_9", subject="physics", region="west")]
    entries += [call("c1", NOW - 2 * HOUR, student_id="st_1", subject="algebra", region="west")]
    store.append(entries)
    store.fold(100, NOW)
    return store


def a_view(search: str = "") -> View:
    filters, _ = parse_filters(search)
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW)


def shown(store: SqliteStore, kind: str, name: str) -> str:
    return words(place.page(Context(store, lambda: NOW, WebConfig(token="T")), a_view(), kind, name))


@pytest.fixture(autouse=True)
def no_title(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.dash, "set_props", lambda *_: None)  # only a callback may set it


def test_a_subject_tells_of_its_own_sessions_calls_and_students(store: SqliteStore) -> None:
    text = shown(store, "subject", "algebra")
    assert "in 30 d, 7 in 7 d" in text  # nine sessions, seven of them in a week
    assert "in 30 d, 1 in 7 d" in text  # the call
    assert "All 3 students" in text
    assert "could not be read" not in text


def test_a_region_holds_the_people_of_all_its_subjects(store: SqliteStore) -> None:
    assert "All 4 students" in shown(store, "region", "west")


def test_a_list_says_how_many_there_are_and_leads_to_all(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "LISTED", 2)
    text = shown(store, "region", "west")
    assert "None of 4 students needs attention" in text
    assert "the first 2 by expected loss a month" in text
    assert "All 4 students" in text


def test_the_windows_of_a_place_count_what_was_missed_and_called(store: SqliteStore) -> None:
    store.append([session("gone", NOW - 9 * DAY, subject="algebra", region="west", no_show=True)])
    store.fold(100, NOW)
    ctx = Context(store, lambda: NOW, WebConfig(token="T"))
    counts = dict(
        zip(
            [name for name, _ in place._COUNTED],
            place.counted(ctx.reads, place.within(a_view().scope, "subject", "algebra")),
            strict=True,
        )
    )
    assert counts["Sessions held"] == [7, 9, 9]
    assert counts["Sessions missed"] == [0, 1, 1]
    assert counts["Inbound calls"] == [1, 1, 1]


def test_a_place_nobody_named_says_so(store: SqliteStore) -> None:
    assert "There is no subject “latin”" in shown(store, "subject", "latin")


def test_links_and_search_lead_to_the_page_of_a_place() -> None:
    assert lookup.address("subject", "a b/c") == "/subject/a%20b%2Fc"
    page = page_at("/region/west")
    assert page is not None
    assert (page.name, entity_id("/region/south%20west")) == ("region", "south west")
    assert page_at("/region") is None
