"""The simulator on AWS: follows the orders in the store, and sends through the deployed API as any stranger would."""

from __future__ import annotations

import time
from secrets import token_hex
from typing import Any

from backend.adapters.dynamo.lease import Lease
from backend.runtime.aws import Installation
from backend.runtime.simulator_follower import SimulatorFollower
from backend.services.simulation import ACTUAL, desired
from simulator.run import Runner


def follower(home: Installation, key: str | None = None) -> SimulatorFollower:
    """What carries out the orders, in any process that may send, with that key or the deployment's own.

    However many processes there are (tasks of the dashboard, the function), one of them sends.
    """

    def runner(**settings: Any) -> Runner:
        own = key or home.secrets.text(home.settings.of("ingest-key"))
        return Runner(home.settings.of("ingest"), own, **settings)

    lease = Lease(home.table("state"), "simulator", token_hex(8), home.clock)
    return SimulatorFollower(home.store, runner, home.clock, lease)


def run(home: Installation, seconds: float) -> str:
    """Carry out what is ordered for a while; the state that was ordered. Nothing to do takes no time."""
    order = desired(home.store)
    cleared = (home.store.document(ACTUAL) or {}).get("clears", 0)
    if order["state"] == "stopped" and order["clears"] == cleared:
        return str(order["state"])
    following = follower(home)
    following.start()
    time.sleep(seconds)
    following.stop(5.0)
    return str(order["state"])
