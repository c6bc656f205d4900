"""Every feature that a model may read: name, unit, formula, source events, missing policy and group, as data.

The version is a hash over this data; a model file carries it and is refused where it differs. The formulas are computed in
`student_features` and `tutor_features`; a test holds both sides to the same names. Lists: the inference-time 46 of students and
of tutors and the compact 25. `W d` means event time in (at - W x 24 h, at]; a session counts when held (neither cancelled
nor missed); weekend and evening (17-23 h) are in UTC.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from backend.ml.registry_tables import COMPACT_ROWS, STUDENT_ROWS, TUTOR_ROWS

MISSING_POLICY = {
    "zero": "a count of nothing is 0: the events are complete for it",
    "missing": "NaN when there is nothing to compute it from",
    "optional": "NaN unless the entity ever sent this optional event or field",
    "unobserved": "no event carries it: always NaN until one does",
}


@dataclass(frozen=True)
class Feature:
    """`sources` are event types; `missing` is a key of MISSING_POLICY; `group` is student, tutor or compact."""

    name: str
    unit: str
    formula: str
    sources: tuple[str, ...]
    missing: str
    group: str


def _features(group: str, rows: str) -> tuple[Feature, ...]:
    """One feature per line `name | unit | sources | missing | formula`."""
    out = []
    for line in rows.strip().splitlines():
        name, unit, sources, missing, formula = (part.strip() for part in line.split("|", 4))
        types = tuple(_SOURCES[letter] for letter in sources if letter != "-")
        out.append(Feature(name, unit, formula, types, missing, group))
    return tuple(out)


_SOURCES = {
    "S": "session_completed",
    "B": "session_started",
    "C": "ib_call_logged",
    "A": "tutor_availability_updated",
    "P": "payment_recorded",
    "M": "message_sent",
    "Q": "booking_requested",
    "U": "signup_completed",
}

STUDENT = _features("student", STUDENT_ROWS)
TUTOR = _features("tutor", TUTOR_ROWS)
COMPACT = _features("compact", COMPACT_ROWS)
GROUPS: dict[str, tuple[Feature, ...]] = {"student": STUDENT, "tutor": TUTOR, "compact": COMPACT}


def names(*groups: str) -> tuple[str, ...]:
    """Feature names of the groups, in registry order."""
    return tuple(f.name for group in groups for f in GROUPS[group])


def version(*groups: str) -> str:
    """First 12 hex digits of the SHA-256 of the definitions of the groups (all of them without an argument)."""
    chosen = [asdict(f) for group in (groups or tuple(GROUPS)) for f in GROUPS[group]]
    text = json.dumps({"features": chosen, "missing": MISSING_POLICY}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
