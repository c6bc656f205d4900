"""From histories to rows: features and outcomes of each entity at each cut-off, split 70/15/15 by entity and by time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from backend.ml import features, labels
from backend.ml.history import Canonical, History

Histories = Iterable[tuple[str, Sequence[Canonical]]]
# Entity type, id, events, cut-off and end of the log -> target -> outcome, NaN where there is none; see labels.
Outcomes = Callable[[str, str, Sequence[Canonical], datetime, datetime], dict[str, float]]
Segment = Callable[[str], str]

_SHARES = (0.70, 0.85)  # train below the first, validation below the second, test above
_ARRIVAL = timedelta(hours=1)  # after the first event: what can be asked of somebody new is asked then
FIRST = "first_session_success"
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Table:
    """`x` (rows, features); `y` target -> (rows,) with NaN; `buying` (rows, 3): repeat sessions, time of the last, time
    observed in days (for the BG/NBD baseline); `part` (rows,) train, validation or test."""

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
    outcomes: Outcomes = labels.FROM_LOG,
    segment: Segment = lambda entity_id: "all",
) -> Table:
    """One row per entity and cut-off at which something was known of it, and one for its arrival between the cut-offs.

    Rows whose entity and cut-off are in different parts are left out. Raises ValueError when there is no row.
    """
    targets = labels.targets(entity_type)
    entity, when, segments, x, y, buying, part = [], [], [], [], [], [], []
    for entity_id, events in histories:
        begun = min((e["occurred_at"] for e in events), default=end)
        for cutoff in _moments(begun, cutoffs, events):
            place = _part(entity_id, cutoff, sorted(cutoffs), seed)
            # Nobody arrives twice: what is asked on arrival alone is in no other part, and goes by its moment.
            alone = place is None and cutoff == begun + _ARRIVAL
            if alone:
                place = _part(None, cutoff, sorted(cutoffs), seed)
            if begun > cutoff or place is None:
                continue
            found = outcomes(entity_type, entity_id, events, cutoff, end)
            # There is too little to look back on for anything but what is asked of newcomers.
            if alone or cutoff < min(cutoffs):
                found = {t: y if t == FIRST else float("nan") for t, y in found.items()}
            part.append(place)
            entity.append(entity_id)
            when.append(cutoff)
            segments.append(segment(entity_id))
            x.append(features.vector(entity_type, events, cutoff))
            y.append([found[t] for t in targets])
            buying.append(_buying(events, cutoff))
    if not entity:
        raise ValueError("no history has an event up to any cut-off")
    outcome = np.array(y, float)
    return Table(
        entity=np.array(entity),
        cutoff=np.array(when),
        segment=np.array(segments),
        x=np.stack(x),
        y={t: outcome[:, j] for j, t in enumerate(targets)},
        buying=np.array(buying, float),
        part=np.array(part, dtype=object),
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


def _moments(begun: datetime, cutoffs: Sequence[datetime], events: Sequence[Canonical]) -> list[datetime]:
    arrival = begun + _ARRIVAL
    # Early in a log nobody knows who is really new, unless a sign-up says so.
    signed_up = any(e["event_type"] == "signup_completed" and e["occurred_at"] <= arrival for e in events)
    new = bool(cutoffs) and (arrival > min(cutoffs) or signed_up)
    return [*cutoffs, *([arrival] if new else [])]


def _part(entity_id: str | None, when: datetime, cutoffs: Sequence[datetime], seed: int) -> str | None:
    """The part that both the entity and the cut-off are in, None where they differ. The entity alone decides while there are fewer than
    three cut-offs, the moment alone where no entity is given."""
    last = len(cutoffs) - 1
    by_entity = None
    if entity_id is not None:
        by_entity = PARTS[sum(share_of(entity_id, f"split:{seed}") >= s for s in _SHARES)]
    if len(cutoffs) < len(PARTS):
        return by_entity
    first_validation = min(max(1, round(_SHARES[0] * len(cutoffs))), last - 1)
    first_test = min(max(first_validation + 1, round(_SHARES[1] * len(cutoffs))), last)
    by_time = PARTS[sum(when >= cutoffs[i] for i in (first_validation, first_test))]
    return by_time if by_entity in (None, by_time) else None
