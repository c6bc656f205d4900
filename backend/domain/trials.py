"""Two models side by side: what each said of the same entities at the same moments, and which of them came nearer to what happened.

`live` is the version in use, `trial` the other: a canary, or one in the shadow that nobody sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.domain.predictions import AMOUNTS, targets
from backend.domain.times import DAY

FAR = 0.1  # two probabilities further apart than this are called different
HALF = 0.5  # the threshold of a probability that no rule reads
LOOKS_US = (
    14 * DAY,
    30 * DAY,
)  # after the first pair, when outcomes are looked up: then the last of them are known
LEAST_JUDGED = 30  # outcomes below which nothing is said of who came nearer

Said = dict[str, tuple[float, float]]  # target -> (live, trial)


class Pair(msgspec.Struct, frozen=True):
    """One entity: the newest of what both said, and the first, which is judged: one case an entity, so that cases are independent.

    `due_us`: when the outcomes of the first are looked up next; 0 once they have been for the last time.
    """

    entity_type: str
    entity_id: str
    live: str
    trial: str
    at_us: int
    said: Said
    first_us: int
    first: Said
    due_us: int
    outcomes: dict[str, float] = {}

    @property
    def key(self) -> tuple[str, str]:
        return self.entity_type, self.entity_id


def began(entity_type: str, entity_id: str, live: str, trial: str, at_us: int, said: Said) -> Pair:
    """The first pair of an entity."""
    return Pair(entity_type, entity_id, live, trial, at_us, said, at_us, said, at_us + LOOKS_US[0])


def renewed(known: Pair | None, new: Pair) -> Pair:
    """What is kept once both said something new. What two other versions said is not gone on with."""
    if known is None or (known.live, known.trial) != (new.live, new.trial):
        return new
    return msgspec.structs.replace(known, at_us=new.at_us, said=new.said)


def judged(pair: Pair, outcomes: Mapping[str, float], now_us: int) -> Pair:
    """With the outcomes (NaN unknown) that are known by now of what was said first."""
    known = {t: y for t, y in outcomes.items() if y == y and t in pair.first}
    left = [pair.first_us + after for after in LOOKS_US if pair.first_us + after > now_us]
    return msgspec.structs.replace(pair, outcomes=pair.outcomes | known, due_us=min(left, default=0))


def side_by_side(entity_type: str, pairs: Sequence[Pair], limits: Mapping[str, float]) -> dict[str, Any]:
    """Target -> figures of both models, of pairs of one live and one trial version; targets without a pair are left out.

    `scored`, `mean` [live, trial], `agreement` (Spearman's rank correlation, None below two different values); of a probability
    `far` (share more than FAR apart); `limit` and `crossed` (share on different sides of it) where there is a limit: that of
    `limits`, of a probability else HALF. `judged` cases with a known outcome, and from LEAST_JUDGED on `happened`, `auc` and `brier`
    [live, trial] of a probability, `error` (mean absolute) of an amount.
    """
    found = {}
    for target in targets(entity_type):
        said = [p.said[target] for p in pairs if target in p.said]
        if said:
            cases = [(p.first[target], p.outcomes[target]) for p in pairs if target in p.outcomes]
            chance = target not in AMOUNTS[entity_type]
            limit = limits.get(target, HALF if chance else None)
            found[target] = _said(said, chance, limit) | _judged(cases, chance)
    return found


def _said(said: Sequence[tuple[float, float]], chance: bool, limit: float | None) -> dict[str, Any]:
    live, trial = zip(*said, strict=True)
    n = len(said)
    found: dict[str, Any] = {"scored": n, "mean": [sum(live) / n, sum(trial) / n]}
    found["agreement"] = _correlation(_ranks(live), _ranks(trial))
    if chance:
        found["far"] = sum(abs(a - b) > FAR for a, b in said) / n
    if limit is not None:
        found |= {"limit": limit, "crossed": sum((a >= limit) != (b >= limit) for a, b in said) / n}
    return found


def _judged(cases: Sequence[tuple[tuple[float, float], float]], chance: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"judged": len(cases)}
    if len(cases) < LEAST_JUDGED:
        return found
    outcomes = [y for _, y in cases]
    for which in (0, 1):
        said = [both[which] for both, _ in cases]
        if chance:
            square = sum((p - y) ** 2 for p, y in zip(said, outcomes, strict=True))
            found.setdefault("auc", []).append(_auc(said, outcomes))
            found.setdefault("brier", []).append(square / len(cases))
        else:
            off = sum(abs(p - y) for p, y in zip(said, outcomes, strict=True))
            found.setdefault("error", []).append(off / len(cases))
    return found | ({"happened": int(sum(outcomes))} if chance else {})


def _ranks(values: Sequence[float]) -> list[float]:
    """From 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for i in order[start:end]:
            ranks[i] = (start + end + 1) / 2
        start = end
    return ranks


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's; of ranks it is Spearman's. None where one side is all the same."""
    middle_a, middle_b = sum(a) / len(a), sum(b) / len(b)
    both = sum((x - middle_a) * (y - middle_b) for x, y in zip(a, b, strict=True))
    spread = sum((x - middle_a) ** 2 for x in a) * sum((y - middle_b) ** 2 for y in b)
    return both / spread**0.5 if spread else None


def _auc(said: Sequence[float], outcomes: Sequence[float]) -> float | None:
    """The chance that of two cases the one that happened was ranked higher, ties half (Mann and Whitney); None without both kinds."""
    happened = sum(y == 1 for y in outcomes)
    others = len(outcomes) - happened
    if not happened or not others:
        return None
    ranks = sum(rank for rank, y in zip(_ranks(said), outcomes, strict=True) if y == 1)
    return (ranks - happened * (happened + 1) / 2) / (happened * others)
