"""Demo data for a first look: 35 days of simulated history through the public API, then a calm live stream."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Rejected, Unavailable
from backend.runtime import local_access
from backend.runtime.settings import Settings
from backend.services import simulation

DAYS, SEED, RATE = 35, 7, 8.0
_BEGUN = "demo-history"  # document: up to when it goes, and whether it is whole
FOLD_SECONDS = 30.0  # how long to wait for the history to be in every window before the address is shown


class Interrupted(Exception):
    """Told to end while the history was going in; the next start brings in the rest."""


def wanted(settings: Settings, now: datetime) -> datetime | None:
    """The end of the history that this store still needs, or None.

    An empty store needs one up to `now`; one that was ended half filled needs the same again, of which it knows the first part.
    None once it is whole, once events came from elsewhere first, and for good when somebody has removed demo data.
    """
    store = SqliteStore(settings.database)
    try:
        begun = store.document(_BEGUN)
        if simulation.desired(store)["clears"] or (begun and begun["done"]):
            return None
        if begun:
            return datetime.fromisoformat(begun["until"])
        if store.connection().execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0]:
            return None
        _note(store, now, done=False)
        return now
    finally:
        store.close()


def _note(store: SqliteStore, until: datetime, *, done: bool) -> None:
    value = {"until": until.isoformat(), "done": done}
    store.put_document(_BEGUN, value, int(until.timestamp() * 1e6))


def fill(
    settings: Settings,
    until: datetime,
    say: Callable[[str], Any],
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Post the history up to `until`, order the live stream, and wait until the windows are up to date. Raises Interrupted."""
    from simulator.run import backfill

    def look(_sent: int = 0) -> None:
        if stopping():
            raise Interrupted

    began = time.monotonic()
    key = local_access.local_key(settings)
    counts = backfill(settings.api_url, key, SEED, DAYS, until, progress=look)
    store = SqliteStore(settings.database)
    _note(store, until, done=True)
    store.close()
    order = {"action": "start", "scenario": "normal", "rate": RATE, "seed": SEED}
    _call(settings, "POST", "/v1/simulator", order)
    deadline = time.monotonic() + FOLD_SECONDS
    while time.monotonic() < deadline and _call(settings, "GET", "/v1/freshness").get("backlog", 0) > 50:
        look()
        time.sleep(0.1)
    took = time.monotonic() - began
    brought = counts["accepted"] + counts["duplicates"]
    say(f"Demo data: {brought:,} simulated events over {DAYS} days in {took:.1f} s, then live.")


def walk_through(
    settings: Settings, scenarios: tuple[str, ...], seconds: float, say: Callable[[str], Any]
) -> bool:
    """The demonstration by script on the running instance; whether everything expected was noticed. Raises Unavailable."""
    from simulator.walkthrough import SCRIPT, walk

    def call(method: str, path: str, body: Any) -> dict[str, Any]:
        return _call(settings, method, path, body)

    try:
        if "actual" not in call("GET", "/v1/simulator", None):
            raise Unavailable(
                f"the instance at {settings.api_url} did not answer as expected; see `iops doctor`"
            )
        return walk(call, say, names=scenarios or SCRIPT, seconds=seconds)
    except ValueError as error:
        raise Rejected(str(error)) from error
    except OSError as error:
        raise Unavailable(f"nothing answers at {settings.api_url}; start it with `iops up`") from error


def _call(settings: Settings, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", settings.api_port, timeout=10)
    try:
        headers = {
            "Authorization": f"Bearer {local_access.token(settings)}",
            "Content-Type": "application/json",
        }
        connection.request(method, path, json.dumps(body).encode() if body else None, headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read() or b"{}")
        return answer if response.status < 300 else {}
    finally:
        connection.close()
