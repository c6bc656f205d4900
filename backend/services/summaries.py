"""The daily and the weekly summary: what happened with alerts, what is still open, who is at risk and what runs short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from backend.domain import messages
from backend.domain.alerts import SEVERITIES, Alert
from backend.domain.channels import Channel
from backend.domain.messages import Item, Message, moment, one_line
from backend.domain.rules import pretty
from backend.domain.times import DAY
from backend.domain.wording import counted
from backend.services import queries_forecast, queries_students
from backend.services.channels import Channels, Outbox
from backend.services.notifying import SUMMARY
from backend.services.read_models import Scope

LISTED = 5
MOST_ALERTS = 20_000
LATE_US = DAY // 2  # a summary that is later than this is left out: the next one is near


def due(channels: Channels, outbox: Outbox, store: Any, public_url: str, now_us: int) -> int:
    """Put summaries whose hour has come into the outbox, each once for its period however often this runs; how many."""
    made = 0
    for channel in channels.channels():
        for kind in channel.summaries:
            _, end_us = channel.period(kind, now_us)
            topic = f"{kind}/{end_us}"
            if (
                channel.created_us > end_us
                or now_us - end_us > LATE_US
                or outbox.posted(channel.channel_id, SUMMARY, topic)
            ):
                continue
            message = summary(store, channel, kind, now_us, public_url)
            outbox.post(channel, SUMMARY, topic, now_us, message)
            made += 1
    return made


def summary(store: Any, channel: Channel, kind: str, now_us: int, public_url: str) -> Message:
    """What the newest whole period came to, and how things stand now, as one message in the channel's zone."""
    start_us, end_us = channel.period(kind, now_us)
    zone, base = ZoneInfo(channel.zone), public_url.rstrip("/")
    alerts, _ = store.alert_list({}, sort="newest", limit=MOST_ALERTS)
    opened = [a for a in alerts if start_us < a.opened_us <= end_us]
    ended = [a for a in alerts if a.resolved_us is not None and start_us < a.resolved_us <= end_us]
    living = [a for a in alerts if a.living]
    scope = Scope(at_us=now_us, start_us=now_us - DAY)
    items = [
        Item(
            title="Alerts",
            facts=(
                ("Opened", _by_severity(opened)),
                ("Ended", _endings(ended)),
                ("Still open", _by_severity(living)),
            ),
        ),
        _unowned(living, now_us, base, zone),
        _noisy(opened, base),
        _at_risk(store, scope, base),
        _short(store, scope, base, zone),
    ]
    critical = sum(a.severity == "critical" for a in living)
    subject = f"{'Day' if kind == 'daily' else 'Week'} to {moment(end_us, zone)}: {counted(len(opened), 'alert')} opened, {len(living)} open"
    if critical:
        subject += f", {critical} of them critical"
    demo = "[demo] " if any(a.simulated for a in opened or living) else ""
    return Message(
        subject=one_line(demo + subject),
        items=tuple(i for i in items if i is not None),
        link=f"{base}/",
        lead=f"From {moment(start_us, zone)} to {moment(end_us, zone)}.",
    )


def _by_severity(alerts: Sequence[Alert]) -> str:
    counts = Counter(a.severity for a in alerts)
    parts = [
        counted(counts[name], name, "warnings" if name == "warning" else name)
        for name in reversed(SEVERITIES)
        if counts[name]
    ]
    return parts[0] if len(parts) == 1 else f"{len(alerts)} ({', '.join(parts)})" if parts else "none"


def _endings(alerts: Sequence[Alert]) -> str:
    """How they ended: a dismissal is a person's, "back to normal" is the rule's."""
    by_hand = sum(a.status == "dismissed" or a.acknowledged_by is not None for a in alerts)
    return f"{len(alerts)}, {by_hand} of them seen by a person" if alerts else "none"


def _unowned(living: Sequence[Alert], now_us: int, base: str, zone: Any) -> Item | None:
    waiting = sorted(
        (a for a in living if a.owner is None and a.severity != "info"), key=lambda a: a.opened_us
    )
    if not waiting:
        return None
    oldest = waiting[0]
    facts = tuple(
        (one_line(a.title, 60), f"open for {messages.age(now_us - a.opened_us)}") for a in waiting[:LISTED]
    )
    return Item(
        title=f"{len(waiting)} of the open warnings and critical alerts {'is' if len(waiting) == 1 else 'are'} nobody's, the oldest since {moment(oldest.opened_us, zone)}",
        facts=facts,
        link=f"{base}/alerts?sort=oldest",
    )


def _noisy(opened: Sequence[Alert], base: str) -> Item | None:
    """The rules that spoke most, with how often people judged them."""
    counts = Counter(a.alert_type for a in opened)
    if not counts:
        return None
    useless = Counter(a.alert_type for a in opened if a.verdict == "not_useful")
    facts = []
    for name, n in counts.most_common(LISTED):
        judged = f", {useless[name]} judged not useful" if useless[name] else ""
        facts.append((pretty(name), counted(n, "alert") + judged))
    return Item(title="The rules that spoke most", facts=tuple(facts), link=f"{base}/alerts")


def _at_risk(store: Any, scope: Scope, base: str) -> Item | None:
    rows = [
        r
        for r in queries_students.students(store, scope, sort="risk", limit=LISTED).rows
        if r.risk is not None
    ]
    if not rows:
        return None
    facts = tuple(
        (one_line(r.name, 60), f"risk {r.risk:.0f}" + (f", {r.reason}" if r.reason else "")) for r in rows
    )
    return Item(title="Students most at risk", facts=facts, link=f"{base}/students")


def _short(store: Any, scope: Scope, base: str, zone: Any) -> Item | None:
    """What the forecast says of the next 24 hours."""
    found = sorted(queries_forecast.shortages(store, scope).values(), key=lambda s: -s.chance)[:LISTED]
    if not found:
        return None
    facts = tuple(
        (
            ", ".join(pretty(part) for part in short.place.split("|") if part),
            f"{short.chance * 100:.0f} % chance, worst at {moment(short.worst_us, zone)}",
        )
        for short in found
    )
    return Item(title="Shortages ahead in the next 24 hours", facts=facts, link=f"{base}/supply")
