"""Tells the partner about high risks: follows the change feed, keeps one delivery per risk, tries until it ends.

What is pending is kept beside the place in the feed, so that a restart goes on where it was: a delivery may then be sent
twice under the same id, and none is left out.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Any

from backend.adapters.webhook import Webhook
from backend.runtime.following import Follower
from backend.runtime.settings import Settings
from backend.services import partner
from backend.services.partner import PENDING, PREFIX, Poster, Target
from backend.services.publishing import detail_of_insight, high_risk

log = logging.getLogger("iops.partner")
CURSOR = "partner_cursor"  # document: place in the feed, ids of what is pending
LOOK_SECONDS = 0.5
CHANGES = 500


class WebhookFollower(Follower):
    """`store` implements Feed, Documents and Insights."""

    def __init__(
        self, store: Any, target: Target, poster: Poster, clock: Callable[[], int], url: str
    ) -> None:
        super().__init__("webhook-follower", log, "could not tell the partner; trying again", LOOK_SECONDS)
        self._store, self._target, self._poster = store, target, poster
        self._clock, self._url = clock, url
        self._cursor: int | None = None
        self._pending: list[str] = []

    def look(self) -> bool:
        if self._cursor is None:
            self._begin()
        found = self._read()
        if self._pending:
            self._deliver(self._pending[0])
        return found or bool(self._pending)

    def _begin(self) -> None:
        """Where the last life ended; without one, at the present: what is past is no news."""
        held = self._store.document(CURSOR)
        if held is None:
            held = {"seq": self._store.last_change(), "pending": []}
            self._store.put_document(CURSOR, held, self._clock())
        self._cursor, self._pending = held["seq"], list(held["pending"])

    def _read(self) -> bool:
        changes = self._store.changes(self._cursor, CHANGES)
        if not changes:
            return False
        news = [found for change in changes if (found := self._noted(change.kind, change.key))]
        self._cursor = changes[-1].seq
        fresh = [found for found in dict.fromkeys(news) if found not in self._pending]
        if fresh:  # our own documents are changes too: they must not make us write again
            self._pending += fresh
            self._save()
        return len(changes) == CHANGES

    def _noted(self, kind: str, key: str) -> str | None:
        """The id of the delivery that a change asks for, kept before it is worked on; None for any other change."""
        if kind == "insight" and (insight := high_risk(self._store, key)):
            known = partner.load(self._store, insight.insight_id)
            if known is None:
                now_us = self._clock()
                detail = detail_of_insight(insight, self._url)
                known = partner.keep(self._store, partner.delivery_of(detail, now_us), now_us)
            return known.delivery_id if known.state == PENDING else None
        if kind == "partner" and key.startswith(PREFIX):
            known = partner.load(self._store, key.removeprefix(PREFIX))
            return known.delivery_id if known is not None and known.state == PENDING else None
        return None

    def _deliver(self, delivery_id: str) -> None:
        delivery = partner.load(self._store, delivery_id)
        if delivery is not None and delivery.state == PENDING:
            chance = random.Random().random
            ended = partner.deliver(
                delivery, self._target, self._poster, self._clock, self._stop.wait, chance
            )
            if self._stop.is_set() and ended.state != partner.DELIVERED:
                return  # cut short; the next life tries anew
            partner.keep(self._store, ended, self._clock())
            insight = self._store.insight(delivery_id)
            alerts = [insight.alert_id] if insight is not None and insight.alert_id else []
            said = {"requests": self._store.requests_of_alerts(alerts)}
            log.info("partner: %s %s after %d tries", delivery_id, ended.state, ended.tries, extra=said)
        self._pending.remove(delivery_id)
        self._save()

    def _save(self) -> None:
        held = {"seq": self._cursor, "pending": self._pending}
        self._store.put_document(CURSOR, held, self._clock())


def follower(store: Any, settings: Settings, clock: Callable[[], int]) -> WebhookFollower | None:
    """The follower with what the settings ask for; None without a partner."""
    if not settings.partner_url:
        return None
    target = Target(settings.partner_url, (settings.partner_secret or "",))
    poster = Webhook(frozenset(settings.partner_hosts))
    return WebhookFollower(store, target, poster, clock, settings.web_url)
