"""Telling people about alerts: what is news, when it is sent, how often it is tried. Decisions only; the store carries them out.

A message goes through `waiting`, `sending`, and ends as `sent`, `failed` (for a day), `skipped` (nobody needed it any more) or
`merged` (into a digest). It is marked as being sent before it is sent, and as sent after: a crash in between sends it once more,
under the same delivery id.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import msgspec

from backend.domain import messages
from backend.domain.alerts import SEVERITIES, Alert
from backend.domain.channels import Channel
from backend.domain.messages import Item, Message
from backend.domain.times import DAY, HOUR, MINUTE, SECOND

WAITING, SENDING, SENT, FAILED, SKIPPED, MERGED = "waiting", "sending", "sent", "failed", "skipped", "merged"
ALERT, ESCALATION, REMINDER, DIGEST, SUMMARY, TEST = (
    "alert",
    "escalation",
    "reminder",
    "digest",
    "summary",
    "test",
)
NEWS = frozenset(
    ("opened", "worsened", "reopened", "woke")
)  # actions of the audit that people are told about
GROUP_WAIT_US = 30 * SECOND
QUIET_US = HOUR  # the same alert is not told again on the same channel, unless it got worse
REPEAT_US = 4 * HOUR
GIVE_UP_US = DAY
LEASE_US = 2 * MINUTE  # longer than any one try takes
FIRST_PAUSE_US, MOST_PAUSE_US = 30 * SECOND, HOUR
KEEP_US = 90 * DAY  # that messages which ended are remembered
ESCALATE_US = {
    "critical": 15 * MINUTE,
    "warning": 2 * HOUR,
}  # unacknowledged for so long: the next step is told
LISTED = 25  # alerts that a digest or a reminder spells out


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one channel. `topic` is what it is about; `news_us` when that became so; `channel` the channel's name."""

    delivery_id: str
    channel_id: str
    channel: str
    kind: str
    topic: str
    severity: str
    state: str = WAITING
    reason: str = ""
    tries: int = 0
    news_us: int
    created_us: int
    due_us: int
    sent_us: int | None = None
    body: str = ""  # of a summary, made when it was due: domain.messages.Message as JSON


class Job(msgspec.Struct, frozen=True):
    """A message that is to be sent now: to where, about which alerts as they stand, how many more than those."""

    delivery: Delivery
    channel: Channel
    alerts: Sequence[Alert]
    more: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of one try. `final`: another one could not do better."""

    ok: bool
    reason: str = ""
    final: bool = False


class Sender(Protocol):
    """Sends one message to an address once. Never raises; `reason` holds nothing of the address."""

    def send(self, url: str, message: Message, delivery_id: str) -> Outcome: ...

    def check(self, url: str) -> str:
        """What kind of service the address belongs to. Raises Rejected when it cannot be used."""
        ...


def delivery_id(*parts: object) -> str:
    """The same matter for the same channel is the same message, however often it is planned."""
    return "nt_" + blake2b("\0".join(map(str, parts)).encode(), digest_size=9).hexdigest()


def worse(severity: str, than: str) -> bool:
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


def due_us(channel: Channel, severity: str, now_us: int, wait_us: int = GROUP_WAIT_US) -> int:
    """When news is sent: after what may join it has had time to come, and outside of quiet hours unless it is critical."""
    at = now_us + wait_us
    return at if severity == "critical" else channel.after_quiet(at)


def told_lately(
    last_us: int, last_severity: str, severity: str, now_us: int, *, back: bool = False
) -> str | None:
    """Why an alert is not told again just now; None: it is. `back`: it came back in its quiet time, no worse than it ended."""
    if back and not worse(severity, last_severity):
        return f"told {messages.age(now_us - last_us)} before; it came back in its quiet time"
    if now_us - last_us >= QUIET_US or worse(severity, last_severity):
        return None
    return f"told {messages.age(now_us - last_us)} before; quiet for {messages.age(QUIET_US)} unless it gets worse"


def came_back(action: str, before: str | None, after: str) -> bool:
    """Whether a transition is an ended alert that goes on as it was; states are those of the audit, "status/severity..."."""
    was, now = (before or after).split("/")[1], after.split("/")[1]
    return action == "reopened" and not worse(now, was)


def needless(alert: Alert) -> str | None:
    """Why an alert need not be told any more; None: it must."""
    if alert.status == "open":
        return None
    by = f" by {alert.acknowledged_by}" if alert.status == "acknowledged" else ""
    return f"{alert.status}{by} before it was sent"


def after_try(found: Delivery, outcome: Outcome, now_us: int, chance: float) -> Delivery:
    """The message after a try; `chance` in [0, 1) spreads the next one. Its pauses double, up to an hour, for a day."""
    change = msgspec.structs.replace
    if outcome.ok:
        return change(found, state=SENT, reason=outcome.reason, sent_us=now_us)
    pause = min(FIRST_PAUSE_US * 2 ** min(found.tries - 1, 20), MOST_PAUSE_US)
    again_us = now_us + int(pause * (0.5 + chance))
    if outcome.final or again_us - found.created_us > GIVE_UP_US:
        return change(found, state=FAILED, reason=outcome.reason)
    return change(found, state=WAITING, reason=outcome.reason, due_us=again_us)


def escalates_at(opened_us: int, severity: str, step: int) -> int | None:
    """When a step is told of an alert that nobody has acknowledged; None: never."""
    wait = ESCALATE_US.get(severity)
    return None if wait is None or step < 1 else opened_us + step * wait


def compose(job: Job, now_us: int, public_url: str, explanations: dict[str, str]) -> Message:
    """The message of a job. `explanations` by alert id are added to the reason."""
    zone = ZoneInfo(job.channel.zone)
    kind, found = job.delivery.kind, job.delivery
    foot = f"Message {found.delivery_id} to {job.channel.name}. Times are {job.channel.zone}."
    if kind == TEST:
        lead = "This is a test. Alerts of this channel will look like the one below."
        return msgspec.structs.replace(_test(now_us, public_url, zone), lead=lead, foot=foot)
    if kind == SUMMARY:
        kept = msgspec.json.decode(found.body, type=Message)
        return msgspec.structs.replace(kept, foot=foot)
    if kind in (DIGEST, REMINDER):
        return msgspec.structs.replace(_listing(job, now_us, public_url, zone), foot=foot)
    items = [
        messages.item_of(a, now_us, public_url, zone, explanations.get(a.alert_id, ""), _note(a))
        for a in job.alerts
    ]
    lead = "Nobody has acknowledged this yet." if kind == ESCALATION else ""
    made = messages.of_alerts(items, simulated=any(a.simulated for a in job.alerts), lead=lead)
    return msgspec.structs.replace(made, foot=foot)


def _note(alert: Alert) -> str:
    return f"Note: {alert.last_note}" if alert.last_note else ""


def _listing(job: Job, now_us: int, public_url: str, zone: Any) -> Message:
    """Many alerts in one message, a line each, worst first."""
    shown = sorted(job.alerts, key=lambda a: (-SEVERITIES.index(a.severity), a.opened_us))[:LISTED]
    total = len(job.alerts) + job.more
    items = tuple(
        Item(
            title=messages.one_line(a.title),
            severity=a.severity,
            why=messages.one_line(messages.sentence(a.message), 200),
            since=f"{messages.moment(a.opened_us, zone)}, {messages.age(now_us - a.opened_us)} ago",
            link=f"{public_url.rstrip('/')}/alerts?open={a.alert_id}",
        )
        for a in shown
    )
    if job.delivery.kind == DIGEST:
        subject = f"{total} more alert{'s' if total != 1 else ''} in one message"
        lead = f"This channel takes {job.channel.ceiling} messages an hour; what came beyond that is gathered here."
    else:
        subject = f"Still open: {total} alert{'s' if total != 1 else ''} that nobody has acknowledged"
        lead = (
            f"You were told of {'this' if total == 1 else 'these'} more than {messages.age(REPEAT_US)} ago."
        )
    if total > len(shown):
        lead += f" The {len(shown)} worst of {total} are listed."
    demo = "[demo] " if any(a.simulated for a in job.alerts) else ""
    worst = shown[0].severity if shown else "info"
    return Message(
        subject=messages.one_line(demo + subject),
        items=items,
        severity=worst,
        lead=lead,
        link=f"{public_url.rstrip('/')}/alerts",
    )


def _test(now_us: int, public_url: str, zone: Any) -> Message:
    item = Item(
        title="Maya R. keeps calling",
        severity="warning",
        who="Student Maya R. (Algebra, West)",
        why="3 inbound calls in 14 days.",
        facts=(("Calls in 14 days", "3"), ("Health", "61.5")),
        since=f"{messages.moment(now_us, zone)}, 0 min ago",
        do="Nothing: nobody is calling.",
        link=f"{public_url.rstrip('/')}/alerts",
    )
    return Message(subject="Test of a channel: this is how alerts arrive", items=(item,), severity="info")
