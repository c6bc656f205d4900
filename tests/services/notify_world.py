"""A store with alerts, a clock that is set, a sender that remembers, and the notifier between them, without its threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.adapters.sqlite.alerts import write_transition
from backend.adapters.sqlite.channels import SqliteChannels
from backend.adapters.sqlite.outbox import SqliteOutbox
from backend.adapters.sqlite.store import SqliteStore
from backend.domain import alerts
from backend.domain.alerts import Alert
from backend.domain.channels import Channel
from backend.domain.messages import Message
from backend.domain.rules import RULES, Signal
from backend.domain.times import MINUTE, SECOND
from backend.runtime.notifier_follower import Notifier
from backend.services import alerting
from backend.services.notifying import Outcome
from tests.builders import NOW


class Sent:
    """A sender that keeps (address, subject, id, message) and answers as it is told."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.sent: list[tuple[str, str, str, Message]] = []

    def send(self, url: str, message: Message, delivery_id: str) -> Outcome:
        answer = self.answers.pop(0) if self.answers else Outcome(True)
        if isinstance(answer, BaseException):
            raise answer
        if answer.ok:
            self.sent.append((url, message.subject, delivery_id, message))
        return answer

    def check(self, url: str) -> str:
        return "a test"

    @property
    def subjects(self) -> list[str]:
        return [subject for _, subject, _, _ in self.sent]

    @property
    def ids(self) -> list[str]:
        return [key for _, _, key, _ in self.sent]


def said(
    entity: str = "stu_1",
    rule: str = "high_ib_call_frequency",
    severity: str = "warning",
    **fields: Any,
) -> Signal:
    """What a rule says of somebody."""
    found = RULES[rule]
    return Signal(
        rule_id=rule,
        severity=severity,
        entity_type=found.entity_type,
        entity_id=entity,
        entity_name=entity.title(),
        subject="algebra",
        region="west",
        title=found.title.format(name=entity.title()),
        message="3 inbound calls in 14 days",
        details={"ib_calls_14d": 3},
        **fields,
    )


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.sender = Sent()
        self.begin()

    def begin(self) -> None:
        """What a start does; again: what the next process finds."""
        self.store = SqliteStore(self.folder / "iops.db")
        self.outbox = SqliteOutbox(self.store)
        self.channels = SqliteChannels(self.store)
        self.notifier = Notifier(
            self.store, self.outbox, self.sender, lambda: self.now, "https://iops.example", chance=lambda: 0.5
        )
        self.outbox.recover(self.now)

    def channel(self, name: str = "team", **fields: Any) -> Channel:
        made = Channel(
            channel_id=f"ch_{name}",
            name=name,
            url=f"test://{name}",
            created_us=self.now,
            created_by="ana",
            **fields,
        )
        self.channels.add_channel(made)
        return made

    def work(self, seconds: float = 0.0) -> None:
        """Let time pass, then do all there is to do."""
        self.now += int(seconds * SECOND)
        while self.outbox.plan(self.now):
            pass
        self.outbox.overdue(self.now)
        for channel_id in self.outbox.due(self.now):
            while self.notifier.send_one(channel_id):
                pass

    def raised(
        self,
        entity: str = "stu_1",
        rule: str = "high_ib_call_frequency",
        severity: str = "warning",
        **fields: Any,
    ) -> Alert:
        signal = said(entity, rule, severity, **fields)
        transition = alerts.raise_alert(signal, f"al_{entity}_{rule}_{self.now}", self.now)
        with self.store.transaction() as connection:
            write_transition(connection, transition)
        return transition.alert

    def changed(self, change: Any) -> Alert:
        """Save a transition, as a rule would."""
        with self.store.transaction() as connection:
            write_transition(connection, change)
        return change.alert

    def act(self, alert: Alert, action: str, **fields: Any) -> None:
        alerting.command(self.store, alert.alert_id, action, actor="ana", now_us=self.now, **fields)

    def states(self) -> list[tuple[str, str, str]]:
        """(kind, state, reason) of every message, oldest first."""
        rows = self.store.connection().execute(
            "SELECT kind, state, reason FROM deliveries ORDER BY created_us, news_us, delivery_id"
        )
        return rows.fetchall()

    def minutes(self, n: float) -> None:
        self.work(n * MINUTE / SECOND)
