"""Numbers, spans and names as people read them."""

from __future__ import annotations

import pytest

from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from dashboard import words
from dashboard.zones import Zone, span, zone_named

NOON = 1_763_640_000_000_000  # 2025-11-20 12:00 UTC


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        (words.number(12345.0), "12,345"),
        (words.number(-1.84), "−1.8"),
        (words.number(None), "–"),
        (words.number(-0.04), "0.0"),
        (words.signed(4), "+4"),
        (words.signed(-1.5), "−1.5"),
        (words.signed(0), "0"),
        (words.percent(0.9375, 1), "93.8 %"),
        (words.percent(None), "–"),
        (words.money(420.4), "$420"),
        (words.plural(1, "alert"), "1 alert"),
        (words.plural(3, "alert"), "3 alerts"),
        (words.readable("sat_prep"), "SAT prep"),
        (words.readable("Maya R."), "Maya R."),
        (words.readable(None), "–"),
        (words.initials("Dana Kim"), "DK"),
        (words.initials(""), "?"),
        (span(12 * SECOND), "12 s"),
        (span(4 * MINUTE), "4 min"),
        (span(int(3.5 * HOUR)), "3.5 h"),
        (span(6 * DAY), "6 d"),
        (span(-5), "0 s"),
    ],
)
def test_it_is_written(got: str, wanted: str) -> None:
    assert got == wanted


def test_a_zone_writes_its_own_wall_time() -> None:
    zone = Zone("America/New_York")
    assert (zone.clock(NOON), zone.axis(NOON), zone.short(NOON)) == ("07:00", "2025-11-20 07:00:00", "EST")
    assert zone.full(NOON) == "Thu 20 Nov 2025, 07:00:00 EST"


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../etc/passwd", "x" * 100])
def test_a_zone_that_does_not_exist_is_none(name: str | None) -> None:
    assert zone_named(name) is None
