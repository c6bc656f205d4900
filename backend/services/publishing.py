"""Which change of the store is announced to the outside, and in which words. Each is announced at least once.

An alert's audit is the list of what happened to it; how far it was told is kept per alert. So a change that is delivered
late, twice, or together with the next one is announced all the same, and once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from backend.domain.alerts import LIVING, Alert
from backend.domain.insights import HIGH_RISK, Insight
from backend.domain.times import DAY, iso
from backend.ports import Change
from backend.services import notifying, partner
from backend.services.announcements import CHANGED, OPENED, RISK, SEGMENT, Announcement, Outside

log = logging.getLogger("iops.publishing")
EVERY = "*"  # a change's key when so many things changed that they are not named
MANY = 200  # alerts that are looked at then
AGAIN = ("reopened", "reopen")  # actions of the audit that bring an ended alert back: a rule's, a person's


class Told(Protocol):
    """How far the audit of each alert has been announced, as a sequence number of its rows; 0: not at all."""

    def until(self, alert_id: str) -> int: ...

    def tell(self, alert_id: str, sequence: int) -> None: ...


def announce(
    store: Any, told: Told, outside: Outside, changes: Iterable[Change], now_us: int, url: str
) -> int:
    """Announce what these changes say happened; returns how many alerts opened. `store` implements Reads, Alerts, Insights.

    `url`: base address of the dashboard, empty when there is none.
    """
    opened = 0
    causes: dict[tuple[str, str], str] = {}
    for change in changes:
        named = change.kind, change.key
        causes[named] = causes.get(named) or change.request_id
    for (kind, key), request_id in causes.items():
        to = _Traced(outside, request_id)
        if kind == "alert":
            for alert in _alerts(store, key):
                opened += _announce_alert(store, told, to, alert, now_us, url)
        elif kind == "segment":
            to.put([segment_changed(key, now_us, url)])
        elif kind == "partner" and key.startswith(partner.PREFIX):
            ordered = partner.load(store, key.removeprefix(partner.PREFIX))
            if ordered is not None and ordered.state == partner.PENDING:
                to.put([Announcement(RISK, partner.detail_of(ordered))])
        elif kind == "insight" and (insight := high_risk(store, key)):
            to.put([Announcement(RISK, detail_of_insight(insight, url))])
    return opened


class _Traced:
    """Says with each announcement which request it goes back to, where that is known, and writes both down."""

    def __init__(self, outside: Outside, request_id: str) -> None:
        self._outside, self._request = outside, {"request_id": request_id} if request_id else {}

    def put(self, announcements: Sequence[Announcement]) -> None:
        self._outside.put([Announcement(each.kind, each.detail | self._request) for each in announcements])
        for each in announcements:
            about = {name: each.detail[name] for name in ("alert_id", "insight_id") if each.detail.get(name)}
            log.info("announced %s", each.kind, extra=self._request | about)


def _alerts(store: Any, key: str) -> list[Alert]:
    if key == EVERY:
        return store.alert_list({}, status=LIVING, sort="newest", limit=MANY)[0]
    alert = store.load_alert(key)
    return [] if alert is None else [alert]


def _announce_alert(store: Any, told: Told, outside: Outside, alert: Alert, now_us: int, url: str) -> int:
    already = told.until(alert.alert_id)
    # Rows of the future are those of a clock that is ahead of this one.
    rows = store.audit_rows([alert.alert_id], now_us + DAY)
    news = sorted((row for row in rows if row["sequence"] > already), key=lambda row: row["sequence"])
    if not news:
        return 0
    entities = store.entities(alert.entity_type, [alert.entity_id])
    risk = entities[0].get("risk") if entities else None
    said = [alert_change(alert, row, risk, url) for row in news]
    outside.put(said)
    told.tell(alert.alert_id, news[-1]["sequence"])
    return sum(each.kind == OPENED for each in said)


def alert_change(alert: Alert, row: dict[str, Any], risk: float | None, url: str) -> Announcement:
    """One row of an alert's audit. One that is open again waits for somebody as a new one does, so it is announced as opened;
    one that went back to who had it, as changed. `news`: whether people are told (services.notifying)."""
    action, (to, severity, *_) = row["action"], row["after"].split("/")
    opens = action == "opened" or (action in AGAIN and to == "open")
    back = notifying.came_back(action, row["before"], row["after"])
    detail = {
        "alert_id": alert.alert_id,
        "severity": severity,
        "alert_type": alert.alert_type,
        "entity_type": alert.entity_type,
        "entity_id": alert.entity_id,
        "risk": risk,
        "title": alert.title,
        "message": alert.message,
        "at": iso(row["at_us"]),
        "url": f"{url}/alerts?open={quote(alert.alert_id)}" if url else "",
        "simulated": alert.simulated,
        "action": action,
        "actor": row["actor"],
        "to": to,
        "news": action in notifying.NEWS and not back,
    }
    return Announcement(OPENED if opens else CHANGED, detail)


def segment_changed(key: str, now_us: int, url: str) -> Announcement:
    """A student or tutor who moved to a worse segment; `key` is `<type>/<id>/<before>/<after>`."""
    kind, rest = key.split("/", 1)
    entity_id, before, after = rest.rsplit("/", 2)
    detail = {"entity_type": kind, "entity_id": entity_id, "before": before, "after": after}
    return Announcement(SEGMENT, detail | {"at": iso(now_us), "url": _page(url, kind, entity_id)})


def high_risk(store: Any, key: str) -> Insight | None:
    """The insight that a change announces apart because of its risk; None for any other. `key` is `<insight id>/<risk>`."""
    insight_id, slash, _ = key.partition("/")
    found = store.insight(insight_id) if slash else None
    return found if found is not None and (found.score or 0) >= HIGH_RISK else None


def detail_of_insight(insight: Insight, url: str) -> dict[str, Any]:
    """An insight of high risk as it is announced."""
    return {
        "insight_id": insight.insight_id,
        "alert_id": insight.alert_id,
        "severity": insight.severity,
        "alert_type": insight.kind,
        "entity_type": insight.entity_type,
        "entity_id": insight.entity_id,
        "risk": insight.score,
        "title": insight.claim,
        "message": insight.text,
        "recommendations": list(insight.actions),
        "at": iso(insight.created_us),
        "url": _page(url, insight.entity_type, insight.entity_id),
        "simulated": insight.simulated,
    }


def _page(url: str, kind: str, entity_id: str) -> str:
    if not url:
        return ""
    return f"{url}/{kind}s/{quote(entity_id, safe='')}" if kind in ("student", "tutor") else f"{url}/supply"
