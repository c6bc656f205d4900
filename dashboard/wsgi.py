"""The WSGI entry of the web process: settings, the store, and the dashboard over it. gunicorn loads `application` in its worker."""

from __future__ import annotations

import atexit
import importlib.metadata
import time

from backend.adapters.sqlite.access import SqliteAccess
from backend.adapters.sqlite.channels import SqliteChannels
from backend.adapters.sqlite.outbox import SqliteOutbox
from backend.adapters.sqlite.store import SqliteStore
from backend.runtime import lifeline, local_access, settings
from backend.runtime.feed import StoreFeed
from backend.runtime.logs import log_to_stderr
from backend.runtime.notifier_follower import LazySender
from backend.services.access import Gate
from backend.services.channels import Telling
from backend.services.models import ModelShelf
from dashboard.app import create_app
from dashboard.context import WebConfig


def _clock() -> int:
    return time.time_ns() // 1_000


def _key_file(chosen: settings.Settings) -> str:
    """Where the engine of this machine keeps the key of senders; elsewhere keys are made with `iops keys`."""
    return str(chosen.data_dir.resolve() / local_access.INGEST_KEY) if chosen.runtime == "local" else ""


def build():
    """The dashboard of this installation. Only the engine checkpoints the database, so this process never does."""
    chosen = settings.read()
    log_to_stderr(chosen.log_level)
    if chosen.runtime == "aws":
        from backend.runtime import web_aws

        lifeline.watch(parent_too=True)
        return web_aws.build(chosen)
    local_access.prepare(chosen.data_dir)
    lifeline.watch(parent_too=True)
    store = SqliteStore(chosen.database, checkpoints=False)
    config = WebConfig(
        token=local_access.token(chosen),
        secret=local_access.secret(chosen.data_dir, local_access.SIGNING),
        read_only=chosen.read_only,
        stage=chosen.stage,
        region=chosen.region or "local",
        version=importlib.metadata.version("iops-dashboard"),
        runtime=chosen.runtime,
        key_file=_key_file(chosen),
        api_url=chosen.api_url,
        hosts=chosen.allowed_hosts,
        tls=chosen.behind_tls,
        max_sockets=max(1, chosen.web_threads // 2),
        embed_origins=chosen.embed_origins,
    )

    def shelf() -> ModelShelf:
        from backend.runtime import local_models  # only the page of models needs it

        return local_models.registry(chosen.data_dir)

    keys = SqliteAccess(store)
    telling = Telling(SqliteChannels(store), SqliteOutbox(store), LazySender(chosen.notify_hosts))
    people = Gate(keys, [], time.monotonic)
    server = create_app(
        store,
        _clock,
        config=config,
        feed=StoreFeed(store),
        people=people,
        keys=keys,
        models=shelf,
        telling=telling,
    )
    atexit.register(server.config["hub"].close)  # open sockets end at once when the worker does
    return server


application = build()
