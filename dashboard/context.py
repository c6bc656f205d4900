"""What every page is given: where to read, what time it is, who is looking, and what the address asks for."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from flask import g, has_request_context, request

from backend.domain.times import SECOND
from backend.services import queries
from backend.services.access import Keys
from backend.services.channels import Telling
from backend.services.models import ModelShelf
from backend.services.read_models import Freshness
from dashboard import components
from dashboard.answers import Answers
from dashboard.filters import parse, scope
from dashboard.view import View
from dashboard.zones import UTC_ZONE, zone_named

log = logging.getLogger(__name__)
# As many as there are processors beside the one that answers; each keeps a connection to the store of its own.
_HELPERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="panels")
ROLES = ("viewer", "operator", "admin")  # each may what the ones before it may
ZONE_COOKIE = "iops-zone"  # the browser's IANA zone, written by boot.js


@dataclass(frozen=True)
class WebConfig:
    """Settings of the web process. `hosts` are names beside loopback ones; `origins` full origins beside the page's own."""

    token: str
    secret: str = ""  # signs session cookies; empty: derived from the token
    read_only: bool = False
    stage: str = "local"
    region: str = "local"
    version: str = "0"
    runtime: str = "local"
    key_file: str = ""  # where this machine keeps the ingest key; empty: whoever sends must know one
    api_url: str = ""  # where senders reach the HTTP API; empty: the usual local address
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    tls: bool = False  # served over https: secure cookies and HSTS
    session_days: int = 30
    max_sockets: int = 24
    account: str = ""  # what people call the AWS account, for the header
    push_origin: str = ""  # wss://..., where changes are pushed from; empty: from this server
    embed_origins: tuple[str, ...] = ()  # whose pages may show this dashboard in a frame


class Feed(Protocol):
    """Follows what the store says happened."""

    def wait(self, after_seq: int, timeout_s: float) -> Iterable[Any]:
        """Changes with a greater `seq`, at once if there are some, else after at most `timeout_s`."""
        ...


class _Kept:
    """The last freshness and the lock around it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value: Freshness | None = None


@dataclass(frozen=True)
class Context:
    """What `register(app, ctx)` of a page gets. `reads` goes to the services as it is; `clock` gives microseconds UTC."""

    reads: Any
    clock: Callable[[], int]
    config: WebConfig
    label: Callable[[str, str], str] = lambda _kind, value: value
    exports: dict[str, Callable[[View], Any]] = field(default_factory=dict)  # name -> view -> rows (dicts)
    models: Callable[[], ModelShelf] | None = None  # opens where models are kept; None: not seen from here
    keys: Keys | None = None  # where ingest keys are kept; None: not changed from here
    telling: Telling | None = None  # where people are told about alerts; None: elsewhere (on AWS)
    answers: Answers = field(default_factory=Answers)  # how quickly this process answers
    _fresh: _Kept = field(default_factory=lambda: _Kept(), repr=False)

    def view(self, search: str | None) -> View:
        """The point of view of the request being answered; `search` is `location.search`."""
        own_zone = UTC_ZONE
        person: dict[str, str] = {}
        if has_request_context():
            own_zone = zone_named(request.cookies.get(ZONE_COOKIE, "")) or UTC_ZONE
            person = getattr(g, "person", {})
        filters, notices = parse(search, own_zone)
        zone = zone_named(filters.zone) or own_zone
        clock_us = self.clock()
        # Ages are told as of the moment that is shown; whether it is past is for the real clock to say.
        if filters.at_us is not None and filters.at_us > clock_us:
            notices.append("That moment is still to come; this is the page as it is now.")
            filters = msgspec.structs.replace(filters, at_us=None)
        now_us = clock_us if filters.at_us is None else filters.at_us
        return View(
            filters=filters,
            scope=scope(filters, clock_us, zone),
            zone=zone,
            now_us=now_us,
            actor=person.get("name", "local"),
            role=person.get("role", "viewer"),
            read_only=self.config.read_only,
            notices=tuple(notices),
            labels={kind: self.label(kind, value) for kind, value in filters.chosen.items()},
            computed_us=clock_us,
        )

    def freshness(self) -> Freshness:
        """How the pipeline is now, also beside a past view; asked for at most once a second however many panels want it."""
        now_us = self.clock()
        with self._fresh.lock:
            kept = self._fresh.value
            if kept is None or not 0 <= now_us - kept.now_us < SECOND:
                kept = self._fresh.value = queries.freshness(self.reads, now_us)
            return kept

    def guarded(self, title: str, build: Callable[[], Any]) -> Any:
        """`build()`, or the error panel with a request id when it fails: one panel's failure stays its own."""
        try:
            return build()
        except Exception:
            request_id = getattr(g, "request_id", "") if has_request_context() else secrets.token_hex(4)
            log.exception("%s could not be drawn (request %s)", title, request_id)
            self.answers.failed()
            return components.error(title, request_id)

    def guarded_all(self, *parts: tuple[str, Callable[[], Any]]) -> list[Any]:
        """`guarded(title, build)` of each, in order, worked out side by side: the store reads for one while another draws.

        What is built must not ask for the request; the first is built by the caller's own thread, so it had better be the slowest.
        """
        (title, build), *rest = parts
        asked = [(name, _HELPERS.submit(other)) for name, other in rest]
        return [self.guarded(title, build), *(self.guarded(name, one.result) for name, one in asked)]
