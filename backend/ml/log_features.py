"""Features of entities from a dated log (activity, work due, work handed in), all as of one day and from the past only.

Units: days, counts, logarithms of counts, or shares. Missing is NaN: an entity without a second day of activity has no mean pause.
Features named `cohort_` are the same for all entities of a cohort on a day; `rank_` is the share of recently active entities
that have less.
"""

from __future__ import annotations

import numpy as np

from backend.ml.cohort_log import CohortLog

Features = dict[str, np.ndarray]

_WINDOWS = (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90)
_HALF_LIVES = (2, 5, 14, 40)  # days
_DECAY_EVENTS = 60  # days of activity that a decayed count looks back at
_WEEKS = 8
_MEMORY = 20  # entities needed before an observed share of the cohort is used


def log_features(log: CohortLog, day: int) -> Features:
    """All features of every entity of the cohort as of the end of `day`, name -> array in the order of `log.entities`."""
    features = (
        _recency(log, day) | _volume(log, day) | _rhythm(log, day) | _work(log, day) | _calendar(log, day)
    )
    return features | _standing(log, day, features)


def _recency(log: CohortLog, day: int) -> Features:
    """How long ago the last, second last, ... day of activity was; and a count that fades with a half-life."""
    out = {f"days_since_{nth}_last_active_day": log.days.since(day, nth) for nth in (1, 2, 3, 4, 6, 10, 20)}
    ages = np.stack([log.days.since(day, nth) for nth in range(1, _DECAY_EVENTS + 1)])
    for half_life in _HALF_LIVES:
        out[f"active_days_halving_{half_life}d"] = np.nansum(0.5 ** (ages / half_life), axis=0)
    out["days_since_first_active_day"] = log.days.since_first(day)
    return out


def _volume(log: CohortLog, day: int) -> Features:
    out = {f"active_days_{w}d": log.days.count(day, w) for w in _WINDOWS}
    out["active_days"] = log.days.count(day)
    out["log_amount"] = np.log1p(log.events.total(day))
    for w in (1, 3, 7, 14, 30, 60):
        out[f"log_amount_{w}d"] = np.log1p(log.events.total(day, w))
        out[f"events_{w}d"] = log.events.count(day, w)
    for w in (7, 14, 30):
        out[f"effort_per_active_day_{w}d"] = log.effort.total(day, w) / np.maximum(
            out[f"active_days_{w}d"], 1
        )
    for kind, series in log.kinds.items():
        for w in (14, 60):
            out[f"log_{kind}_{w}d"] = np.log1p(series.total(day, w))
    out["trend_7d"] = out["active_days_7d"] - out["active_days_14d"] / 2
    out["trend_14d"] = out["active_days_14d"] - out["active_days_30d"] * 14 / 30
    out["trend_30d"] = out["active_days_30d"] - out["active_days_60d"] / 2
    return out


def _rhythm(log: CohortLog, day: int) -> Features:
    """Lengths of the pauses between days of activity, and how steady the weeks are."""
    days, recency = log.days.count(day), log.days.since(day)
    pauses = np.maximum(days - 1, 1)
    mean = log.gaps.over_history("sum", day) / pauses
    square = log.gaps.over_history("square", day) / pauses
    out = {
        "mean_pause": np.where(days > 1, mean, np.nan),
        "sd_of_pauses": np.where(days > 2, np.sqrt(np.maximum(square - mean**2, 0)), np.nan),
        "mean_log_pause": np.where(days > 1, log.gaps.over_history("log", day) / pauses, np.nan),
        "longest_pause": log.gaps.longest(day),
        "last_pause": log.gaps.latest(day),
        "recency_per_mean_pause": recency / np.maximum(mean, 0.5),
        "active_share": days / (log.days.since_first(day) + 1),
    }
    for length in log.gaps.LONG:
        count = log.gaps.over_history(f"over_{length}", day)
        out[f"pauses_over_{length}d"] = count
        out[f"share_of_pauses_over_{length}d"] = (count + 0.3) / (days + 2)  # shrunk towards a rare event
    weeks = np.stack([log.days.count(day - 7 * i, 7) for i in range(_WEEKS)])
    out["sd_of_weeks"] = weeks.std(axis=0)
    out["idle_weeks"] = (weeks == 0).sum(axis=0)
    out["least_active_week"] = weeks.min(axis=0)
    return out


def _work(log: CohortLog, day: int) -> Features:
    """Work due and handed in: how much is missing, how well it was marked, what happened since the last deadline."""
    due, submitted = log.due.count(day), log.submitted.count(day)
    last, before = ([log.start, log.start, *log.deadlines(day)])[-1:-3:-1]
    out = {
        "work_due": due,
        "work_submitted": submitted,
        "work_missing": due - submitted,
        "share_of_work_missing": (due - submitted) / np.maximum(due, 1),
        "mean_score": np.where(submitted > 0, log.submitted.total(day) / np.maximum(submitted, 1), np.nan),
        "last_score": log.submitted.last_amount(day),
        "days_since_submission": log.submitted.since(day),
        "submitted_since_deadline": submitted - log.submitted.count(last),
        "submitted_for_deadline": log.submitted.count(last) - log.submitted.count(before),
        "active_days_since_deadline": log.days.count(day) - log.days.count(last),
    }
    for w in (7, 14, 30, 60):
        out[f"submitted_{w}d"] = log.submitted.count(day, w)
        out[f"due_{w}d"] = log.due.count(day, w)
    return out


def _calendar(log: CohortLog, day: int) -> Features:
    """Where the cohort stands in its course, and when this entity joined."""
    since = log.registered.since_first(day)
    out = {"cohort_age": np.full(log.size, float(day - log.start) if day >= log.start else np.nan)}
    out["days_since_registration"] = since
    out["registered_after_start"] = day - since - log.start
    deadlines = log.deadlines(day)
    elapsed = day - (deadlines[-1] if len(deadlines) else log.start)
    usual = np.median(np.diff(deadlines)) if len(deadlines) > 1 else np.nan
    out["cohort_days_since_deadline"] = np.full(log.size, float(elapsed))
    out["cohort_days_to_deadline"] = np.full(log.size, usual - elapsed)
    return out


def _standing(log: CohortLog, day: int, own: Features) -> Features:
    """The entity among those of its cohort that were active recently, and what that cohort has been doing."""
    active = log.recently_active(day)
    peers = max(int(active.sum()), 1)
    out: Features = {}
    for name in ("active_days_7d", "active_days_14d", "active_days_30d"):
        out[f"relative_{name}"] = own[name] - (own[name][active].mean() if active.any() else np.nan)
    ranked = (
        "active_days_7d",
        "active_days_14d",
        "active_days_30d",
        "log_amount_30d",
        "log_amount",
        "active_days_halving_14d",
    )
    for name in ranked:
        out[f"rank_{name}"] = np.searchsorted(np.sort(own[name][active]), own[name]) / peers
    for w in (1, 3, 7, 14):
        mean = log.days.count(day, w)[active].mean() if active.any() else np.nan
        out[f"cohort_active_days_{w}d"] = np.full(log.size, mean)
    for w in (7, 14, 30):  # the outcome itself, where it has become known by now
        earlier = log.recently_active(day - w)
        known = earlier.sum() > _MEMORY
        share = log.silent(day - w, w)[earlier].mean() if known else np.nan
        out[f"cohort_silent_share_{w}d"] = np.full(log.size, share)
    done = (own["submitted_since_deadline"] > 0)[active]
    out["cohort_submitted_since_deadline"] = np.full(log.size, done.mean() if active.any() else np.nan)
    return out
