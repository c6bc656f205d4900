"""The address as state: what is written can be read back, what is wrong is corrected and said."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.times import DAY, HOUR, SECOND
from dashboard.filters import OWN_CHOICES, PAGE_KEYS, RANGES, Filters, encode, link, parse, scope, window_text
from dashboard.zones import CHOICES, UTC_ZONE, Zone

NOW = 1_763_649_128_000_000  # 2025-11-20 14:32:08 UTC
NEW_YORK = Zone("America/New_York")

texts = (
    st.text(string.ascii_letters + string.digits + "_-#&=+ é%", min_size=1, max_size=60)
    .map(str.strip)
    .filter(bool)
)
times = st.integers(1_500_000_000, 1_900_000_000).map(lambda s: s * SECOND)


@st.composite
def any_filters(draw: st.DrawFn) -> Filters:
    absolute = draw(st.none() | st.tuples(times, times).filter(lambda pair: pair[0] < pair[1]))
    keys = [key for key in PAGE_KEYS if draw(st.booleans())]
    return Filters(
        student=draw(st.none() | texts),
        tutor=draw(st.none() | texts),
        subject=draw(st.none() | texts),
        region=draw(st.none() | texts),
        range="24h" if absolute else draw(st.sampled_from(sorted(RANGES))),
        from_us=absolute[0] if absolute else None,
        to_us=absolute[1] if absolute else None,
        at_us=draw(st.none() | times),
        paused=draw(st.booleans()),
        zone=draw(st.sampled_from([None, *(name for name, _ in CHOICES if name)])),
        theme=draw(st.sampled_from([None, "light", "dark"])),
        kiosk=draw(st.sampled_from([None, "1", "30"])),
        own=tuple(
            (key, draw(st.sampled_from(OWN_CHOICES[key]) if key in OWN_CHOICES else texts)) for key in keys
        ),
    )


@given(any_filters())
def test_an_address_written_is_read_back_without_a_notice(filters: Filters) -> None:
    assert parse(encode(filters)) == (filters, [])


@given(st.text(max_size=300))
def test_no_address_breaks_the_codec_and_its_correction_is_clean(search: str) -> None:
    filters, _ = parse(search)
    again, notices = parse(encode(filters))
    assert (again, notices) == (filters, [])


@pytest.mark.parametrize(
    ("search", "word"),
    [
        ("?range=5y", "range"),
        ("?at=yesterday", "time"),
        ("?from=2025-11-20T10:00Z", "start before its end"),
        ("?from=2025-11-20T10:00Z&to=2025-11-19T10:00Z", "start before its end"),
        ("?zone=Mars/Olympus", "time zone"),
        ("?theme=pink", "theme"),
        ("?severity=dire", "severity"),
        ("?compare=xyz", "compare"),
        ("?dir=sideways", "dir"),
        ("?kiosk=3", "wall mode"),
        ("?colour=red", "colour"),
        ("?student=" + "x" * 400, "student"),
        ("?at=9999-01-01T00:00Z", "time"),
    ],
)
def test_a_wrong_value_is_dropped_and_named(search: str, word: str) -> None:
    filters, notices = parse(search)
    assert filters == Filters()
    assert len(notices) == 1
    assert word in notices[0]


def test_the_token_is_neither_kept_nor_named() -> None:
    assert parse("?token=secret") == (Filters(), [])


def test_a_time_without_offset_is_in_the_zone_of_the_page() -> None:
    assert parse("?at=2025-11-20T09:32:08", NEW_YORK)[0].at_us == NOW
    assert parse("?at=2025-11-20T15:32:08&zone=UTC", NEW_YORK)[0].at_us == NOW + HOUR


@pytest.mark.parametrize(
    ("filters", "start", "end", "travels"),
    [
        (Filters(), NOW - DAY, NOW, False),
        (Filters(range="7d"), NOW - 7 * DAY, NOW, False),
        (Filters(at_us=NOW - HOUR, range="1h"), NOW - 2 * HOUR, NOW - HOUR, True),
        (Filters(at_us=NOW + DAY), NOW - DAY, NOW, False),
        (Filters(from_us=NOW - 3 * DAY, to_us=NOW - DAY), NOW - 3 * DAY, NOW - DAY, True),
    ],
)
def test_the_scope_of_a_range_ends_at_its_moment(
    filters: Filters, start: int, end: int, travels: bool
) -> None:
    got = scope(filters, NOW, UTC_ZONE)
    assert (got.start_us, got.at_us, got.time_travel) == (start, end, travels)


def test_today_begins_at_local_midnight() -> None:
    assert scope(Filters(range="today"), NOW, NEW_YORK).start_us == NEW_YORK.midnight(NOW)
    assert NEW_YORK.local(NEW_YORK.midnight(NOW)).strftime("%H:%M:%S") == "00:00:00"


def test_a_link_keeps_filters_and_drops_what_belongs_to_the_page() -> None:
    filters = Filters(student="st_1", own=(("open", "al_1"),))
    assert link("/supply", filters, region="west") == "/supply?student=st_1&region=west"


def test_the_window_is_said_in_words() -> None:
    assert window_text(Filters(range="7d"), UTC_ZONE) == "last 7 d"
    assert window_text(Filters(from_us=NOW - DAY, to_us=NOW), UTC_ZONE) == "19 Nov 14:32 to 20 Nov 14:32 UTC"


def test_the_scope_key_tells_apart_what_changes_the_numbers_only() -> None:
    assert Filters(student="a").key != Filters(student="b").key
    assert Filters(zone="UTC", own=(("open", "x"),), paused=True).key == Filters().key
