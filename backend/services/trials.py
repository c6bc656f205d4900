"""Tries a model beside the one in use: keeps what both say of whoever is scored, and looks up later what came of it.

What is kept here is seen on the page of models alone. No person shows it and no rule reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backend.domain.events import Event
from backend.domain.limits import DOCUMENT, book_of
from backend.domain.predictions import Scored
from backend.domain.times import DAY
from backend.domain.trials import Pair, judged, renewed, side_by_side
from backend.ports import Reads
from backend.services.predicted import TARGETS

Trial = tuple[str, str, str]  # (entity type, version in use, version that is tried)
LOOK_BACK_US = 60 * DAY  # an outcome asks at most how things stood this long before


class TrialModels(Protocol):
    """Models of which one may be tried beside another."""

    def beside(self, scored: Sequence[Scored]) -> list[Pair]:
        """What both models of a trial say of those that were just scored; nobody outside of a trial is in it."""

    def trials(self) -> list[Trial]:
        """What is being tried now."""

    def came_of(
        self, entity_type: str, events: Sequence[Event], at_us: int, end_us: int
    ) -> Mapping[str, float]:
        """Target -> what came after `at_us` by the events up to `end_us`, NaN where that is not known."""


class Pairs(Protocol):
    """What both models of a trial said, by entity."""

    def save_pairs(self, pairs: Sequence[Pair]) -> None:
        """Each in the place of what is kept of its entity."""

    def pairs_of(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Pair]:
        """By (entity type, id), those that are kept."""

    def pairs(self, kind: str) -> list[Pair]:
        """All of an entity type."""

    def pairs_due(self, now_us: int, limit: int) -> list[Pair]:
        """Those of which outcomes are to be looked up by now."""

    def keep_pairs(self, trials: Sequence[Trial]) -> int:
        """Forget those of other trials, and of entities that are not known any more; how many went."""


class Store(Reads, Pairs, Protocol):
    """The part of the store that is needed here."""


def note(store: Pairs, models: TrialModels, scored: Sequence[Scored]) -> None:
    """Keep what both models of a trial say of those that were just scored."""
    found = models.beside(scored)
    if found:
        known = store.pairs_of([pair.key for pair in found])
        store.save_pairs([renewed(known.get(pair.key), pair) for pair in found])


def judge(store: Store, models: TrialModels, now_us: int, limit: int) -> int:
    """Look up what came of up to `limit` pairs whose time has come; how many there were."""
    due = store.pairs_due(now_us, limit)
    done = []
    for pair in due:
        since_us = pair.first_us - LOOK_BACK_US
        events = list(store.log({pair.entity_type: pair.entity_id}, since_us, now_us))
        done.append(judged(pair, models.came_of(pair.entity_type, events, pair.first_us, now_us), now_us))
    if done:
        store.save_pairs(done)
    return len(done)


def comparison(store: Any, kind: str, live: str, trial: str) -> dict[str, Any]:
    """`scored` entities, `since_us` of the first, and `targets`: see `domain.trials.side_by_side`."""
    pairs = [p for p in store.pairs(kind) if (p.live, p.trial) == (live, trial)]
    book = book_of(store.document(DOCUMENT))
    limits = {target: book[rule].levels[0].opens for rule, target in TARGETS.items()}
    return {
        "scored": len(pairs),
        "since_us": min((p.first_us for p in pairs), default=None),
        "targets": side_by_side(kind, pairs, limits),
    }
