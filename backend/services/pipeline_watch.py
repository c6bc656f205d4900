"""Rules about the pipeline itself: too much is refused, or something that was taken waits uncounted."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from backend.domain.alerts import Alert, Transition
from backend.domain.profiles import Profile
from backend.domain.readings import Reading
from backend.domain.rules import RULES, Rule, verdict_on
from backend.domain.times import HOUR, MINUTE
from backend.services.process import settle_once

INGEST = ("system", "ingest")  # type and id of the entity that these alerts are about
WINDOW_US = HOUR
WAIT_US = 10 * MINUTE
MIN_ITEMS = 20  # fewer say nothing about a share


class Counts(msgspec.Struct, frozen=True):
    """Of the last hour: items refused and events accepted; and events put aside for longer than WAIT_US."""

    refused: int
    accepted: int
    put_aside: int


def settle_pipeline(
    counts: Counts, held: dict[str, Alert], now_us: int, book: Mapping[str, Rule] = RULES
) -> list[Transition]:
    """Alerts raised, worsened, eased, resolved or back. `held` maps rule id to the alert that stands for it."""
    profile = Profile.new(*INGEST)
    readings = {"malformed_rate": _refused(counts), "events_put_aside": _put_aside(counts)}
    verdicts = []
    for rule_id, reading in readings.items():
        alert = held.get(rule_id)
        current = alert.severity if alert is not None and alert.living else None
        if verdict := verdict_on(book[rule_id], reading, current, profile):
            verdicts.append(verdict)
    return settle_once(verdicts, held, now_us, counted=0, key="/".join(INGEST))


def _refused(counts: Counts) -> Reading:
    total = counts.refused + counts.accepted
    if total < MIN_ITEMS:
        return Reading(None, lambda: (f"fewer than {MIN_ITEMS} items in the last hour", {}))
    share = counts.refused / total
    details = {"refused": counts.refused, "accepted": counts.accepted, "share": share}
    words = f"{100 * share:.1f} % of {total} items refused in the last hour"
    return Reading(share, lambda: (words, details))


def _put_aside(counts: Counts) -> Reading:
    n = counts.put_aside
    words = f"{n} event{'' if n == 1 else 's'} put aside for more than {WAIT_US // MINUTE} minutes"
    return Reading(n, lambda: (words, {"put_aside": n}))
