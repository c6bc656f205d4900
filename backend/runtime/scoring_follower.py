"""Scores in the background whoever changed, and whoever was scored long ago. Nothing waits for it, and it takes little."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from backend.domain.times import DAY, HOUR, MINUTE
from backend.runtime.following import Follower
from backend.services import scoring, trials
from backend.services.scoring import Key, Models, ModelsUnavailable
from backend.services.trials import TrialModels

log = logging.getLogger("iops.models")
LOOK_SECONDS = 0.5
AT_ONCE = 8  # entities scored, and saved in one transaction
SHARE = 0.15  # of one core's time that scoring may take; it rests in between, so that posts go first
SCAN_US = MINUTE  # how often all entities are looked over for those that are due
SCANNED = 500
CHANGES = 500
FIRST_DRIFT_US = (
    2 * MINUTE
)  # after the start at the earliest, once nobody is due any more; from then on daily
LAST_DRIFT_US = HOUR  # after that it is measured on those who were scored: whoever calls comes first, and is not like the others


class ScoringFollower(Follower):
    """`store` implements Feed, Processor, Reads, Predictions and Documents. `watch(now_us)` measures drift and keeps what it finds;
    `aside`: models of which one may be tried beside another (services.trials).

    What has to be scored is known from the change feed while this runs, and from the store after a start: a prediction is
    older than the entity's last change or it is not. So nothing is scored twice for one change, and nothing is missed.
    """

    def __init__(
        self,
        store: Any,
        models: Models,
        clock: Callable[[], int],
        watch: Callable[[int], object] = lambda now_us: None,
        aside: TrialModels | None = None,
    ) -> None:
        super().__init__("scoring-follower", log, "could not score; trying again", LOOK_SECONDS)
        self._store, self._models, self._clock, self._watch, self._aside = store, models, clock, watch, aside
        self._cursor: int | None = None
        self._waiting: dict[Key, int] = {}
        self._scan_at = self._prune_at = self._judge_at = 0
        self._watch_at = clock() + FIRST_DRIFT_US
        self._scored = self._failures = 0

    def figures(self) -> dict[str, float]:
        """Meters for /metrics."""
        return {
            "predictions_made_total": self._scored,
            "predictions_failed_total": self._failures,
            "predictions_waiting": len(self._waiting),
        }

    def _round(self) -> float:
        began = time.thread_time()
        try:
            rest = super()._round()
        except ModelsUnavailable as error:
            self._failures += 1
            log.warning("could not score; trying again: %s", error)
            rest = LOOK_SECONDS
        except Exception:
            self._failures += 1
            raise
        return max(rest, (time.thread_time() - began) / SHARE)

    def look(self) -> bool:
        """One round; True if more is waiting. While rules are silent nobody is scored: half of a past looks like somebody leaving."""
        now_us = self._clock()
        if self._store.is_quiet(now_us):
            self._scan_at = now_us
            return False
        if not self._waiting:
            self._read_changes(now_us)
        if not self._waiting and now_us >= self._scan_at:
            self._scan(now_us)
        part = dict(list(self._waiting.items())[:AT_ONCE])
        if part:
            done = scoring.score(self._store, self._models, part, now_us)
            self._scored += len(done)
            if self._aside is not None:
                trials.note(self._store, self._aside, done)
            for key in part:
                del self._waiting[key]
        self._daily(now_us)
        return bool(self._waiting) or self._judge(now_us)

    def _judge(self, now_us: int) -> bool:
        """Look up outcomes of what models on trial said, when nobody waits to be scored; True if more may be due."""
        if self._aside is None or now_us < self._judge_at:
            return False
        more = trials.judge(self._store, self._aside, now_us, AT_ONCE) == AT_ONCE
        self._judge_at = 0 if more else now_us + HOUR
        return more

    def _read_changes(self, now_us: int) -> None:
        if self._cursor is None:  # what changed before the start is found by the scan
            self._cursor = self._store.last_change()
            return
        for change in self._store.changes(self._cursor, CHANGES):
            self._cursor = change.seq
            if change.kind == "entity":
                kind, _, entity_id = change.key.partition("/")
                if change.key == "*":
                    self._scan_at = now_us  # many at once are not named
                elif kind in ("student", "tutor"):
                    self._waiting[kind, entity_id] = change.at_us

    def _scan(self, now_us: int) -> None:
        found = scoring.due(self._store, self._models, now_us, SCANNED)
        self._waiting = dict.fromkeys(found, now_us)
        self._scan_at = now_us if len(found) == SCANNED else now_us + SCAN_US

    def _daily(self, now_us: int) -> None:
        if now_us >= self._prune_at:
            self._prune_at = now_us + HOUR
            self._store.prune_predictions(now_us - scoring.KEEP_DAYS * DAY)
            if self._aside is not None:
                self._store.keep_pairs(self._aside.trials())
        all_done = not self._waiting and self._scan_at > now_us
        if now_us >= self._watch_at and (all_done or now_us >= self._watch_at + LAST_DRIFT_US):
            self._watch_at = now_us + DAY
            self._watch(now_us)
