"""Demo data for a first look: 35 days of simulated history through the public API, then a calm live stream."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Rejected, Unavailable
from backend.runtime import local_access
from backend.runtime.settings import Settings
from backend.services import simulation

DAYS, SEED, RATE = 35, 7, 8.0
FOLD_SECONDS = 30.0  # how long to wait for the history to be in every window before the address is shown


def wanted(settings: Settings) -> bool:
    """Whether this store is empty and nobody has removed demo data from it. Creates the store when there is none."""
    store = SqliteStore(settings.database)
    try:
        empty = store.connection().execute("SELECT NOT EXISTS (SELECT 1 FROM events)").fetchone()[0]
        return bool(empty) and not simulation.desired(store)["clears"]
    finally:
        store.close()


def fill(settings: Settings, say: Callable[[str], Any]) -> None:
    """Post the history, order the live stream, and wait until the windows are up to date."""
    from simulator.run import backfill

    began = time.monotonic()
    key = local_access.local_key(settings)
    counts = backfill(settings.api_url, key, SEED, DAYS, datetime.now(UTC))
    order = {"action": "start", "scenario": "normal", "rate": RATE, "seed": SEED}
    _call(settings, "POST", "/v1/simulator", order)
    deadline = time.monotonic() + FOLD_SECONDS
    while time.monotonic() < deadline and _call(settings, "GET", "/v1/freshness").get("backlog", 0) > 50:
        time.sleep(0.1)
    took = time.monotonic() - began
    say(f"Demo data: {counts['accepted']:,} simulated events over {DAYS} days in {took:.1f} s, then live.")


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
