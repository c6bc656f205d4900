"""How quickly this web process answers, page by page, and what failed: counted since it started, for the System page."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from flask import Flask, Response, g, has_request_context, request

from backend.services.queries_counts import percentile
from dashboard.pages import PAGES

RECENT = 500  # answers of a page whose times are kept
FRAME, EXPORTS, SEARCH, OTHER = "Frame and commands", "Exports", "Search and views", "Other"
_CALLBACK = "/_dash-update-component"
_OUTPUT = re.compile(
    rb'"output":\s*"\.{0,2}([a-z]+)-'
)  # the first id of what a callback fills begins with its page
_HEAD = 400  # bytes of a callback's body; Dash writes the output first
_TITLES = {page.name: page.title for page in PAGES} | {"shell": FRAME}


@dataclass(frozen=True)
class Row:
    """One page: answers, times of the newest RECENT in milliseconds (None: none was timed), and errors."""

    name: str
    count: int
    p50_ms: float | None
    p95_ms: float | None
    errors: int


@dataclass
class _Counted:
    count: int = 0
    errors: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))


class Answers:
    """Counters of one process; a restart begins anew."""

    def __init__(self, since_us: int = 0) -> None:
        self.since_us = since_us
        self._lock = threading.Lock()
        self._pages: dict[str, _Counted] = {}

    def answered(self, name: str, seconds: float) -> None:
        with self._lock:
            page = self._pages.setdefault(name, _Counted())
            page.count += 1
            page.seconds.append(seconds)

    def failed(self, name: str = "") -> None:
        """A request or a panel that could not be answered; without a name it belongs to the request being answered."""
        if not name and has_request_context():
            name = g.get("answers_to", "")
        with self._lock:
            self._pages.setdefault(name or OTHER, _Counted()).errors += 1

    def rows(self) -> list[Row]:
        """What was asked for at all, the slowest first."""
        with self._lock:
            found = [
                (name, page.count, page.errors, list(page.seconds)) for name, page in self._pages.items()
            ]
        rows = [
            Row(name, count, _ms(times, 0.5), _ms(times, 0.95), errors)
            for name, count, errors, times in found
        ]
        return sorted(rows, key=lambda row: (-(row.p95_ms or 0), row.name))

    def together(self) -> Row:
        """The same over all pages."""
        with self._lock:
            pages = list(self._pages.values())
            times = [seconds for page in pages for seconds in page.seconds]
        count, errors = sum(page.count for page in pages), sum(page.errors for page in pages)
        return Row("", count, _ms(times, 0.5), _ms(times, 0.95), errors)


def _ms(seconds: list[float], share: float) -> float | None:
    return 1000 * percentile(seconds, share) if seconds else None


def asked_for() -> str:
    """What the request wants, in the words of the table; empty: a document, a file or a socket, which are not timed."""
    if request.path == _CALLBACK and request.method == "POST":
        found = _OUTPUT.search(request.get_data(cache=True)[:_HEAD])
        return _TITLES.get(found[1].decode(), OTHER) if found else OTHER
    if request.path.startswith("/export/"):
        return EXPORTS
    return SEARCH if request.path.startswith("/ui/") else ""


def install(server: Flask, answers: Answers) -> None:
    """Comes before everything else, so that what the others do is part of the time."""

    @server.before_request
    def begin() -> None:
        g.answers_began = time.perf_counter()
        g.answers_to = asked_for()

    @server.after_request
    def end(response: Response) -> Response:
        name, began = g.get("answers_to", ""), g.get("answers_began")
        if response.status_code >= 500:
            answers.failed(name or OTHER)
        elif name and began is not None and response.status_code < 400:
            answers.answered(name, time.perf_counter() - began)
        return response
