"""From histories to rows: features and outcomes of each entity at each cut-off, split 70/15/15 by entity and by time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from backend.ml import features, labels
from backend.ml.history import Canonical, History

Histories = Iterable[tuple[str, Sequence[Canonical]]]
Outcomes = Callable[[str, Sequence[Canonical], datetime, datetime], dict[str, float]]  # as labels.outcomes
Segment = Callable[[str], str]

_SHARES = (0.70, 0.85)  # train below the first, validation below the second, test above
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Table:
    """`x` (rows, features); `y` target -> (rows,) with NaN; `buying` (rows, 3): repeat sessions, time of the last, time
    observed in days (for the BG/NBD baseline); `part` (rows,) train, validation, test or "" for rows in none."""

    entity: np.ndarray
    cutoff: np.ndarray
    segment: np.ndarray
    x: np.ndarray
    y: dict[str, np.ndarray]
    buying: np.ndarray
    part: np.ndarray

    def rows(self, target: str, part: str) -> np.ndarray:
        """Indices of the rows of a part that have an outcome of the target."""
        return np.flatnonzero((self.part == part) & ~np.isnan(self.y[target]))


def build_table(
    entity_type: str,
    histories: Histories,
    cutoffs: Sequence[datetime],
    end: datetime,
    seed: int,
    outcomes: Outcomes = labels.outcomes,
    segment: Segment = lambda entity_id: "all",
) -> Table:
    """One row per entity and cut-off at which something was known of it. Raises ValueError when there is none."""
    targets = labels.targets(entity_type)
    entity, when, segments, x, y, buying = [], [], [], [], [], []
    for entity_id, events in histories:
        for cutoff in cutoffs:
            if not any(e["occurred_at"] <= cutoff for e in events):
                continue
            found = outcomes(entity_type, events, cutoff, end)
            entity.append(entity_id)
            when.append(cutoff)
            segments.append(segment(entity_id))
            x.append(features.vector(entity_type, events, cutoff))
            y.append([found[t] for t in targets])
            buying.append(_buying(events, cutoff))
    if not entity:
        raise ValueError("no history has an event up to any cut-off")
    outcome = np.array(y, float)
    part = _parts(np.array(entity), np.array(when), sorted(cutoffs), seed)
    return Table(
        entity=np.array(entity),
        cutoff=np.array(when),
        segment=np.array(segments),
        x=np.stack(x),
        y={t: outcome[:, j] for j, t in enumerate(targets)},
        buying=np.array(buying, float),
        part=part,
    )


def _buying(events: Sequence[Canonical], at: datetime) -> tuple[float, float, float]:
    sessions = History(events, at).sessions()
    if not sessions:
        return (float("nan"),) * 3
    observed = sessions[0].age
    return len(sessions) - 1, observed - sessions[-1].age, observed


def share_of(name: str, salt: str) -> float:
    """A number in [0, 1) that depends on name and salt alone; evenly spread over names."""
    digest = hashlib.sha256(f"{salt}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _parts(entity: np.ndarray, when: np.ndarray, cutoffs: Sequence[datetime], seed: int) -> np.ndarray:
    """A row is in a part when its entity and its cut-off both are; with fewer than three cut-offs the entity decides."""
    by_entity = np.array([_part(share_of(name, f"split:{seed}")) for name in entity], dtype=object)
    if len(cutoffs) < len(PARTS):
        return by_entity
    last = len(cutoffs) - 1
    first_validation = min(max(1, round(_SHARES[0] * len(cutoffs))), last - 1)
    first_test = min(max(first_validation + 1, round(_SHARES[1] * len(cutoffs))), last)
    starts = (cutoffs[first_validation], cutoffs[first_test])
    by_time = np.array([PARTS[sum(w >= s for s in starts)] for w in when], dtype=object)
    return np.where(by_entity == by_time, by_entity, "")


def _part(share: float) -> str:
    return PARTS[sum(share >= s for s in _SHARES)]
