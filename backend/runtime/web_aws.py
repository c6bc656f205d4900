"""The dashboard over a deployment on AWS: the same pages and services, the store in DynamoDB, pushes by API Gateway."""

from __future__ import annotations

import atexit
import importlib.metadata
import time
from typing import Any
from urllib.parse import urlsplit

from flask import Flask

from backend.adapters.dynamo.connections import Person
from backend.ports import Change, Feed
from backend.runtime.aws import Installation, installation
from backend.runtime.settings import Settings
from dashboard.app import create_app
from dashboard.context import WebConfig

LOOK_SECONDS = 0.5


class PolledFeed:
    """Follows the change feed by asking how far it is: one small read each time."""

    def __init__(self, store: Feed) -> None:
        self._store = store

    def wait(self, after_seq: int, timeout_s: float) -> list[Change]:
        """Changes after `after_seq`, at once if there are some, else after at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self._store.last_change() > after_seq:
                return self._store.changes(after_seq)
            if time.monotonic() >= deadline:
                return []
            time.sleep(LOOK_SECONDS)


def build(chosen: Settings) -> Flask:
    """The WSGI application. Where this process may send, it also carries out the simulator's orders."""
    home = installation()
    told = home.settings
    live = urlsplit(told.optional("live"))
    shelf = home.models
    config = WebConfig(
        token=chosen.token or "",
        secret=home.signing.hex(),
        read_only=chosen.read_only,
        stage=told.stage,
        region=told.region,
        account=told.account,
        version=importlib.metadata.version("iops-dashboard"),
        runtime="aws",
        api_url=told.optional("ingest"),
        hosts=chosen.allowed_hosts,
        tls=chosen.behind_tls,
        max_sockets=max(1, chosen.web_threads // 2),
        push_origin=f"{live.scheme}://{live.netloc}" if live.netloc else "",
        embed_origins=chosen.embed_origins,
    )
    server = create_app(
        home.store,
        home.clock,
        config=config,
        feed=PolledFeed(home.store),
        people=home.gate,
        models=None if shelf is None else lambda: shelf,
        tickets=lambda person: _ticket(home, person),
    )
    atexit.register(server.config["hub"].close)
    if told.optional("ingest") and (chosen.ingest_key or told.optional("ingest-key")):
        from backend.runtime.aws_simulator import follower

        following = follower(home, chosen.ingest_key)
        following.start()
        atexit.register(following.stop)
    return server


def _ticket(home: Installation, person: dict[str, Any]) -> dict[str, Any]:
    return home.issue_ticket(Person(person["name"], person["role"], person.get("key", "")))
