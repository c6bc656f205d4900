"""Limits that somebody tries on the last days before setting them: an order in the store, which the engine follows, and what came of it.

One document is the order, another what became of it; whoever asks again while one is under way has the newer one made instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from backend.domain import limits
from backend.domain.errors import Rejected
from backend.domain.rules import Rule
from backend.ports import Documents
from backend.services.backtest import REPLAYABLE, Backtest, require_replayable
from backend.services.backtest_words import document

KIND = "backtest"  # of the changes that tell of it
DAYS, LONGEST = 7, 90
MOST_BEGUN = 3  # times that one trial is begun; what is cut off so often is given up
NAMES = ("in force", "tried")
ONE_MACHINE = "Limits are tried where iOps runs on one machine; on AWS nothing replays the log"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be tried, by whom. `limits` are (opens, clears) by severity; `asked_us` tells orders of a rule apart."""

    rule_id: str
    limits: dict[str, tuple[float, float]]
    enabled: bool
    quiet_minutes: int
    days: int
    by: str
    asked_us: int

    def asks_like(self, other: Order | None) -> bool:
        """Whether both try the same."""
        return other is not None and self == msgspec.structs.replace(
            other, by=self.by, asked_us=self.asked_us
        )


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the order of `asked_us`: `share` of it is done; `why` it failed; `found` when it is done."""

    asked_us: int
    state: Literal["running", "done", "failed"]
    begun: int = 1  # times
    begun_us: int = 0
    share: float = 0.0
    ended_us: int | None = None
    why: str = ""
    found: Backtest | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand with the newest order of a rule; `order` None: there never was one."""

    state: Literal["never", "waiting", "running", "done", "failed"]
    order: Order | None = None
    fate: Fate | None = None

    @property
    def under_way(self) -> bool:
        return self.state in ("waiting", "running")


def ask(
    store: Documents,
    rule_id: str,
    asked: Mapping[str, tuple[float, float]],
    *,
    enabled: bool,
    by: str,
    now_us: int,
    quiet_minutes: int | None = None,
    days: int = DAYS,
) -> Trial:
    """Order a trial; how things then stand. Raises NotFound or Rejected for what cannot be replayed or could not be set."""
    require_replayable(rule_id)
    if not 1 <= days <= LONGEST:
        raise Rejected(f"limits are tried on the last 1 to {LONGEST} days, not {days}")
    rule = limits.tried(
        store.document(limits.DOCUMENT), rule_id, asked, enabled=enabled, quiet_minutes=quiet_minutes
    )
    order = Order(
        rule_id=rule_id,
        limits={level.severity: (level.opens, level.clears) for level in rule.levels},
        enabled=enabled,
        quiet_minutes=rule.quiet_minutes,
        days=days,
        by=by,
        asked_us=now_us,
    )
    now = trial(store, rule_id)
    if now.under_way and order.asks_like(now.order):
        return now
    store.put_document(f"{KIND}.{rule_id}", msgspec.to_builtins(order), now_us)
    return trial(store, rule_id)


def trial(store: Documents, rule_id: str) -> Trial:
    """The newest order of a rule, and what became of it."""
    asked = store.document(f"{KIND}.{rule_id}")
    if asked is None:
        return Trial(state="never")
    order = msgspec.convert(asked, Order)
    known = store.document(_fate_of(rule_id))
    fate = None if known is None else msgspec.convert(known, Fate)
    if fate is None or fate.asked_us != order.asked_us:
        return Trial(state="waiting", order=order)
    return Trial(state=fate.state, order=order, fate=fate)


def next_order(store: Documents) -> Order | None:
    """The oldest order that is not done with, if there is one. Those that were begun belong to an engine that is gone."""
    found = [trial(store, rule_id) for rule_id in REPLAYABLE]
    orders = [one.order for one in found if one.under_way and one.order is not None]
    return min(orders, key=lambda order: order.asked_us, default=None)


def begin(store: Documents, order: Order, now_us: int) -> bool:
    """Note that it is begun; False when it was cut off too often already and is given up."""
    now = trial(store, order.rule_id)
    before = now.fate.begun if now.fate is not None else 0
    if before >= MOST_BEGUN:
        fail(store, order, f"it was cut off {before} times", now_us)
        return False
    fate = Fate(asked_us=order.asked_us, state="running", begun=before + 1, begun_us=now_us)
    _put(store, order, fate, now_us)
    return True


def tell(store: Documents, order: Order, share: float, now_us: int) -> None:
    """So much of it is done."""
    _put(store, order, msgspec.structs.replace(_fate(store, order, now_us), share=round(share, 3)), now_us)


def done(store: Documents, order: Order, found: Backtest, now_us: int) -> None:
    """Keep what was found."""
    fate = msgspec.structs.replace(
        _fate(store, order, now_us), state="done", share=1.0, ended_us=now_us, found=found
    )
    _put(store, order, fate, now_us)


def fail(store: Documents, order: Order, why: str, now_us: int) -> None:
    """Say that nothing came of it, and why."""
    fate = msgspec.structs.replace(
        _fate(store, order, now_us), state="failed", ended_us=now_us, why=why, found=None
    )
    _put(store, order, fate, now_us)


def rules_of(store: Documents, order: Order) -> list[Rule]:
    """What is replayed: the rule in force, and as it is tried."""
    document = store.document(limits.DOCUMENT)
    tried = limits.tried(
        document,
        order.rule_id,
        order.limits,
        enabled=order.enabled,
        quiet_minutes=order.quiet_minutes,
    )
    return [limits.book_of(document)[order.rule_id], tried]


def said(now: Trial, rule_id: str) -> dict[str, Any]:
    """How things stand as the API gives it; times in microseconds, the result as `iops backtest --json` prints it."""
    order, fate = now.order, now.fate
    return {
        "rule": rule_id,
        "state": now.state,
        "share": 0.0 if fate is None else fate.share,
        "days": None if order is None else order.days,
        "asked_by": None if order is None else order.by,
        "asked_us": None if order is None else order.asked_us,
        "ended_us": None if fate is None else fate.ended_us,
        "why": "" if fate is None else fate.why,
        "result": None if fate is None or fate.found is None else document(fate.found, NAMES),
    }


def _fate_of(rule_id: str) -> str:
    return f"{KIND}.{rule_id}.fate"


def _fate(store: Documents, order: Order, now_us: int) -> Fate:
    now = trial(store, order.rule_id)
    return now.fate or Fate(asked_us=order.asked_us, state="running", begun_us=now_us)


def _put(store: Documents, order: Order, fate: Fate, now_us: int) -> None:
    """Not when somebody has asked for something else meanwhile: that is what counts."""
    newest = trial(store, order.rule_id).order
    if newest is not None and newest.asked_us == order.asked_us:
        store.put_document(_fate_of(order.rule_id), msgspec.to_builtins(fate), now_us)
