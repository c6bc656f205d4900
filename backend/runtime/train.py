"""Where `iops train` takes histories from: the simulator, or the instance's own log with what people said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.domain.predictions import ENTITY_TYPES
from backend.domain.times import DAY, from_us, to_us
from backend.ml import labels
from backend.ml.event_files import ENDINGS, source_of
from backend.ml.history import as_mapping
from backend.ml.train_run import NothingToLearn, Say, Source
from backend.ml.training_table import Histories

_USUAL = 2_000  # students of the marketplace that inputs are compared with
_STAYS = ("expected", "too sensitive")  # reasons for "not useful" that say that nobody leaves


def simulated(customers: int, days: int, seed: int, until: datetime, say: Say) -> Source:
    """The simulator's history, with what it hides for judging. It has more trouble than the marketplace that demo data show, so that there
    is much to learn from; what inputs are compared with later is one with as little (`usual`)."""
    from simulator.lives import Lives, mappings
    from simulator.population import SHARES

    say(f"simulating {customers:,} customers over {days} days (seed {seed})")
    lives = Lives(seed, until, days, customers)

    def usual(entity_type: str) -> Histories:
        shown = Lives(seed, until, days, min(customers, _USUAL), SHARES)
        found = shown.students() if entity_type == "student" else shown.tutors()
        return ((entity_id, mappings(drafts)) for entity_id, drafts in found)

    def histories(entity_type: str) -> Histories:
        found = lives.students() if entity_type == "student" else lives.tutors()
        return ((entity_id, mappings(drafts)) for entity_id, drafts in found)

    def oracle(target: str, entity_id: str, cutoff: datetime) -> float | None:
        if target == "first_session_success":
            return lives.first_success(entity_id)
        least = {"ib_call_risk_14d": 1, "ib_call_repeat_14d": 2}.get(target)
        if least is not None:
            return lives.calls(entity_id, cutoff, 14, least)
        horizon = {"churn_14d": 14, "churn_30d": 30}.get(target)
        return None if horizon is None else lives.silent(entity_id, cutoff, horizon)

    name = f"simulated history ({customers:,} customers, {days} days, seed {seed})"
    return Source(name, until - timedelta(days=days), until, histories, lives.segment, oracle, usual=usual)


def own_log(store: Any, now_us: int, say: Say) -> Source:
    """The instance's own log; what people said of insights joins the outcomes."""
    begin = store.first_us({})
    if begin is None:
        raise NothingToLearn("there is no event yet; post events, or train with --source simulator")
    regions = {
        (kind, profile.entity_id): profile.value("region") or "unknown"
        for kind in ENTITY_TYPES
        for profile in store.profiles(kind, {})
    }
    places = {entity_id: region for (_, entity_id), region in regions.items()}
    said = feedback(store, now_us)
    say(f"reading the log: {len(regions):,} students and tutors, feedback on {len(said):,} students")

    def histories(entity_type: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        for kind, entity_id in sorted(regions):
            if kind == entity_type:
                yield (
                    entity_id,
                    [as_mapping(event) for event in store.log({entity_type: entity_id}, -1, now_us)],
                )

    return Source(
        "own log",
        from_us(begin),
        from_us(now_us),
        histories,
        lambda entity_id: places.get(entity_id, "unknown"),
        outcomes=labels.with_feedback(said),
    )


def bucket(address: str, files: Callable[[str], Any], say: Say) -> Source:
    """The archive in S3 under `s3://bucket/prefix`; `files` opens a bucket. ValueError for another address."""
    scheme, _, rest = address.partition("://")
    name, _, prefix = rest.partition("/")
    if scheme != "s3" or not name:
        raise ValueError(f"{address!r} is no source; give s3://BUCKET/PREFIX")
    shelf = files(name)
    names = [found for found in shelf.names(prefix) if found.endswith(ENDINGS)]
    say(f"reading {len(names):,} files of events from {address}")
    return source_of(((found, shelf.get(found)) for found in names), f"archive {address}")


def feedback(store: Any, now_us: int) -> dict[str, list[tuple[datetime, bool]]]:
    """What people said of students and when: whether one left or stays.

    Of an insight: its outcome, else that it was dismissed, which says that the student stays. Of an alert: that it stands
    dismissed, or was not useful because it was expected or too sensitive, says the same.
    """
    said: dict[str, list[tuple[datetime, bool]]] = {}
    for insight in store.insights_judged(now_us - 400 * DAY):
        words = insight.feedback or {}
        outcome, verdict = words.get("outcome"), words.get("verdict")
        if insight.entity_type == "student" and (outcome or verdict == "dismissed"):
            said.setdefault(insight.entity_id, []).append((from_us(insight.created_us), outcome == "churned"))
    alerts, _ = store.alert_list({}, status=("open", "acknowledged", "snoozed", "resolved", "dismissed"))
    doubted = {
        a.alert_id: a
        for a in alerts
        if a.entity_type == "student" and (a.verdict == "not_useful" or a.status == "dismissed")
    }
    for row in store.audit_rows(list(doubted), now_us, limit=100_000) if doubted else []:
        alert, judged = doubted[row["alert_id"]], row["action"] == "verdict" and row["note"] in _STAYS
        if judged or (row["action"] == "dismiss" and alert.status == "dismissed"):
            said.setdefault(alert.entity_id, []).append((from_us(row["at_us"]), False))
    return said


def midnight(now_us: int) -> datetime:
    """The last midnight UTC."""
    return from_us(now_us - now_us % DAY)


def moment(text: str) -> datetime:
    """A day, as midnight UTC. ValueError for anything else."""
    day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    to_us(day)
    return day
