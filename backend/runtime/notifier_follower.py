"""Tells people: makes messages of what happened to alerts, and sends what is due, each channel in a thread of its own.

A channel that hangs holds up only its own messages; the engine's other threads never wait for one.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

from backend.adapters.sqlite.channels import SqliteChannels
from backend.adapters.sqlite.outbox import SqliteOutbox
from backend.domain.messages import Message
from backend.domain.times import HOUR
from backend.runtime.following import Follower
from backend.runtime.settings import Settings
from backend.services import notifying
from backend.services.notifying import Job, Outcome, Sender

log = logging.getLogger("iops.notifier")
LOOK_SECONDS = 0.5
WATCH_US = 10 * 1_000_000  # how often what follows from the time alone is looked for
FORGET_US = HOUR  # how often messages are looked through for those that ended long ago


class Notifier(Follower):
    """`store` implements Insights and knows the requests of alerts. `summaries` is asked now and then whether one is due."""

    def __init__(
        self,
        store: Any,
        outbox: SqliteOutbox,
        sender: Sender,
        clock: Callable[[], int],
        public_url: str,
        summaries: Callable[[int], object] = lambda now_us: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__("notifier", log, "could not see to messages; trying again", LOOK_SECONDS)
        self._store, self._outbox, self._sender = store, outbox, sender
        self._clock, self._public_url, self._summaries, self._chance = clock, public_url, summaries, chance
        self._began = False
        self._busy: dict[str, threading.Thread] = {}
        self._watched_us = self._forgot_us = 0

    def _round(self) -> float:
        if not self._began:
            self._outbox.recover(self._clock())
            self._began = True
        return super()._round()

    def look(self) -> bool:
        """One round: make messages, then start a thread for each channel that has something due and is not at it."""
        now_us = self._clock()
        while self._outbox.plan(now_us):
            pass
        if not 0 <= now_us - self._watched_us < WATCH_US:
            self._watched_us = now_us
            self._outbox.overdue(now_us)
            self._summaries(now_us)
        if not 0 <= now_us - self._forgot_us < FORGET_US:
            self._forgot_us = now_us
            self._outbox.prune(now_us - notifying.KEEP_US)
        for channel_id in self._outbox.due(now_us):
            held = self._busy.get(channel_id)
            if held is None or not held.is_alive():
                thread = threading.Thread(
                    target=self._work, args=(channel_id,), name="notifier-channel", daemon=True
                )
                self._busy[channel_id] = thread
                thread.start()
        return False

    def _work(self, channel_id: str) -> None:
        try:
            while not self._stop.is_set() and self.send_one(channel_id):
                pass
        except Exception:
            if not self._stop.is_set():
                log.exception("a message could not be seen to; trying again")

    def send_one(self, channel_id: str) -> bool:
        """Claim, send, mark; False when nothing was due."""
        job = self._outbox.claim(channel_id, self._clock())
        if job is None:
            return False
        outcome = self._sent(job)
        now_us = self._clock()
        ended = notifying.after_try(job.delivery, outcome, now_us, self._chance())
        self._outbox.mark(ended, now_us)
        requests = self._store.requests_of_alerts(alert.alert_id for alert in job.alerts)
        said = (ended.delivery_id, ended.channel, ended.state, ended.reason)
        log.info("message %s to %s: %s %s", *said, extra={"requests": requests})
        return True

    def _sent(self, job: Job) -> Outcome:
        ids = [alert.alert_id for alert in job.alerts]
        texts = {key: found.text for key, found in self._store.insights_of_alerts(ids).items()} if ids else {}
        message = notifying.compose(job, self._clock(), self._public_url, texts)
        return self._sender.send(job.channel.url, message, job.delivery.delivery_id)


class LazySender:
    """Loads Apprise when the first message is sent; most installations never need it."""

    def __init__(self, trusted: tuple[str, ...]) -> None:
        self._trusted = frozenset(host.lower() for host in trusted)

    def send(self, url: str, message: Message, delivery_id: str) -> Outcome:
        return self._loaded().send(url, message, delivery_id)

    def check(self, url: str) -> str:
        return self._loaded().check(url)

    def _loaded(self) -> Sender:
        from backend.adapters.apprise_sender import AppriseSender

        return AppriseSender(self._trusted)


def follower(store: Any, settings: Settings, clock: Callable[[], int]) -> Notifier:
    """The notifier of an installation; without channels it only keeps its place."""
    outbox, channels, url = SqliteOutbox(store), SqliteChannels(store), settings.link_url

    def summarize(now_us: int) -> None:
        from backend.services import summaries  # forecasts need numpy

        summaries.due(channels, outbox, store, url, now_us)

    return Notifier(store, outbox, LazySender(settings.notify_hosts), clock, url, summarize)
