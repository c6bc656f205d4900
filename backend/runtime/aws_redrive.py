"""Doing again what a queue of failures holds. A message leaves its queue when what it names is done, and not before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from backend.domain.errors import IopsError, Rejected, Unavailable
from backend.ports import Change
from backend.runtime.aws import Installation
from backend.runtime.aws_archive import GIVEN, replay
from backend.runtime.aws_failures import records_of
from backend.runtime.aws_people import take_over
from backend.runtime.aws_records import changes_of, fold
from backend.services.announcements import Announcement
from backend.services.publishing import EVERY, announce
from backend.topology import RESOURCES

log = logging.getLogger("iops.redrive")
MOST = 200  # messages in one run
QUEUES = tuple(resource.name for resource in RESOURCES if resource.kind == "queue")


def again(home: Installation, order: Mapping[str, Any]) -> dict[str, int]:
    """Carry out {"queue": NAME}, {"from": T, "to": T} or {"people": true}. Raises Rejected for anything else.

    With "given": true the archive is what was brought here from another stage's.
    """
    if "queue" in order:
        return redrive(home, order["queue"])
    if "from" in order and "to" in order:
        under = GIVEN if order.get("given") is True else ""
        return replay(home.store, home.files("archive"), order["from"], order["to"], home.clock(), under)
    if order.get("people") is True:
        return take_over(home.store, home.access, home.files("archive"), home.clock())
    raise Rejected(
        'say {"queue": NAME} to work through a queue, {"from": TIME, "to": TIME} for the archive,'
        ' or {"people": true} for what people did'
    )


def redrive(home: Installation, queue: str) -> dict[str, int]:
    """Work through a queue by its name in the topology; {"done", "left"}. Raises Rejected for an unknown name."""
    if queue not in QUEUES:
        raise Rejected(f"there is no queue {queue!r}; one of: {', '.join(QUEUES)}")
    repeat = _AGAIN.get(queue, _announce_again)
    waiting = home.queue(queue)
    found = {"done": 0, "left": 0}
    for failure in waiting.failures(MOST):
        try:
            repeat(home, failure.body)
        except IopsError as error:
            log.warning("a message of %s stays: %s", queue, error)
            found["left"] += 1
        else:
            waiting.done(failure)
            found["done"] += 1
    return found


def _fold_again(home: Installation, body: Mapping[str, Any]) -> None:
    folded = fold(home.store, records_of(home, body, "failures"), home.clock())
    if folded.failed:
        raise Rejected("; ".join(sorted(set(folded.failed.values())))[:500])


def _changes_again(home: Installation, body: Mapping[str, Any]) -> None:
    """Nothing is told twice: how far each alert was told is known. A message of a release before this one names a place in the
    stream; what that has forgotten since is announced as far as it still holds."""
    try:
        changes = changes_of(records_of(home, body, "unannounced"))
    except Unavailable:
        changes = [Change(0, home.clock(), "alert", EVERY)]
    announce(home.store, home.told, home.bus, changes, home.clock(), home.settings.dashboard_url)


def _not_needed(home: Installation, body: Mapping[str, Any]) -> None:
    """A push that failed is history: browsers have asked for what they missed long ago."""


def _announce_again(home: Installation, body: Mapping[str, Any]) -> None:
    """An announcement goes onto the bus once more; whoever had taken it hears it twice."""
    event = body.get("requestPayload", body)
    home.bus.put([Announcement(event["detail-type"], event["detail"])])


_AGAIN: dict[str, Callable[[Installation, Mapping[str, Any]], None]] = {
    "process-dlq": _fold_again,
    "alert-dlq": _changes_again,
    "broadcast-dlq": _not_needed,
}
