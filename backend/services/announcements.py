"""What is said to the outside, and of what kinds; who decides what is said is services.publishing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec

from backend.domain.times import iso

OPENED, CHANGED, SEGMENT = "AlertOpened", "AlertChanged", "SegmentChanged"
RISK, MALFORMED = "HighRisk", "MalformedEvents"
RUN: ContextVar[str] = ContextVar(
    "run", default=""
)  # the id of what this process is at: a run by the clock, or a request


@contextmanager
def during(run: str) -> Iterator[None]:
    """What changes meanwhile, and goes back to no request of its own, is announced with the id of this run."""
    before = RUN.set(run)
    try:
        yield
    finally:
        RUN.reset(before)


class Announcement(msgspec.Struct, frozen=True):
    """One thing that happened, of a kind in topology.DETAIL_TYPES. `request_id` in its detail: the request that it goes back to."""

    kind: str
    detail: dict[str, Any]


class Outside(Protocol):
    """Where announcements go."""

    def put(self, announcements: Sequence[Announcement]) -> None: ...


def malformed(refused: int, first: str, source: str, now_us: int, request_id: str) -> Announcement:
    """Items of one request that were refused; `first` says what was wrong with the first of them."""
    title = f"{refused} item{'' if refused == 1 else 's'} of {source} refused"
    said = {"severity": "warning", "title": title, "message": first, "at": iso(now_us), "url": ""}
    return Announcement(MALFORMED, said | {"request_id": request_id})
