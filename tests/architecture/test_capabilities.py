"""docs/capabilities.md cannot lie about what is where: every place that it names exists, and its totals are counted here."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from backend.http_api import ROUTES
from backend.runtime.cli import main as iops
from dashboard.pages import PAGES

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")

STATES = ("works", "partly", "not yet")
# How many capabilities each section has; they are numbered from 01 without gaps.
COUNTS = {
    "ING": 30,
    "PRC": 32,
    "ALR": 31,
    "AIX": 33,
    "MLX": 31,
    "STO": 13,
    "API": 16,
    "RTM": 8,
    "UIX": 39,
    "SIM": 16,
    "INF": 37,
    "OPS": 11,
}
_ROW = re.compile(r"\| (?P<id>[A-Z]{3}-\d\d) \| (?P<what>[^|]+) \| (?P<state>[^|]+) \| (?P<where>[^|]+) \|")
_TOTAL = re.compile(r"\| (?P<name>[^|]+) \| (?P<works>\d+) \| (?P<partly>\d+) \| (?P<not_yet>\d+) \|")


class Row(NamedTuple):
    """One capability. `places` are the quoted words of its last column."""

    id: str
    what: str
    state: str
    where: str

    @property
    def places(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.where)


def _rows() -> list[Row]:
    """Every line that begins like a row; one that is not well-formed fails here instead of going unseen."""
    found = []
    for line in TEXT.splitlines():
        if re.match(r"\|\s*[A-Z]{3}-", line):
            match = _ROW.fullmatch(line)
            assert match, f"not a row of four columns: {line}"
            found.append(Row(**match.groupdict()))
    return found


ROWS = _rows()


def fault_of(place: str) -> str | None:
    """What is wrong with a place that the table names; None when it exists."""
    method, _, path = place.partition(" ")
    if method in ("GET", "POST", "DELETE"):
        known = any(route.method == method and _plain(path) in map(_plain, route.paths) for route in ROUTES)
        return None if known else "no such route"
    if method == "iops":
        return None if _is_command(path.split()) else "no such command"
    if method == "make":
        target = re.search(rf"^{re.escape(path)}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        return None if target else "no such target"
    if place.startswith("/"):
        return None if place.removesuffix("{id}") in {page.path for page in PAGES} else "no such page"
    return None if (ROOT / place).is_file() else "no such file"


def _plain(path: str) -> str:
    return path.replace(":path}", "}")


def _is_command(words: list[str]) -> bool:
    """Whether the words lead from `iops` through its groups to a command."""
    found: click.Command | None = iops
    for word in words:
        found = found.commands.get(word) if isinstance(found, click.Group) else None
    return bool(words) and found is not None


def test_every_capability_stands_there_once_and_in_order() -> None:
    assert sum(COUNTS.values()) == 297
    wanted = [f"{prefix}-{n:02}" for prefix, count in COUNTS.items() for n in range(1, count + 1)]
    assert [row.id for row in ROWS] == wanted


def test_every_state_is_one_of_three_and_says_enough() -> None:
    assert {row.state for row in ROWS} <= set(STATES)
    for row in ROWS:
        assert row.state == "not yet" or row.places, f"{row.id} names no place to see it"
        assert (row.state == "partly") == ("missing: " in row.where), f"{row.id}: partly says what is missing"


def test_no_two_capabilities_are_told_in_the_same_words() -> None:
    told = Counter(row.what for row in ROWS)
    assert [what for what, times in told.items() if times > 1] == []


def test_the_totals_are_those_of_the_table() -> None:
    stated = {
        match["name"]: tuple(int(match[key]) for key in ("works", "partly", "not_yet"))
        for line in TEXT.splitlines()
        if (match := _TOTAL.fullmatch(line))
    }
    counted = {
        prefix: tuple(
            sum(row.state == state for row in ROWS if row.id.startswith(prefix)) for state in STATES
        )
        for prefix in COUNTS
    }
    counted["all"] = tuple(sum(row.state == state for row in ROWS) for state in STATES)
    assert stated == counted


@pytest.mark.parametrize("row", [row for row in ROWS if row.places], ids=lambda row: row.id)
def test_every_place_that_is_named_exists(row: Row) -> None:
    assert {place: fault for place in row.places if (fault := fault_of(place))} == {}


@pytest.mark.parametrize(
    "place",
    [
        "GET /v1/nothing",
        "POST /healthz",
        "/nowhere",
        "/students/{name}",
        "iops fly",
        "iops keys fly",
        "iops up now",
        "make gold",
        "docs/nothing.md",
        "tests",
    ],
)
def test_a_place_that_is_not_there_is_found_out(place: str) -> None:
    assert fault_of(place)
