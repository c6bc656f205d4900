"""`iops train`: histories from the simulator or from the instance's own log, trained, compared with what is in use, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.domain.predictions import ENTITY_TYPES
from backend.domain.times import DAY, from_us, to_us
from backend.ml import labels
from backend.ml.history import as_mapping
from backend.ml.promotion import Decision, ModelRegistry, decide
from backend.ml.training import NothingToLearn, Oracle, Trained, figures_on, train
from backend.ml.training_table import Histories, Outcomes, Segment

Say = Callable[[str], None]
FIRST, STEP = timedelta(days=28), timedelta(days=5)  # what a first cut-off looks back on; between cut-offs
HORIZON, SHORT_HORIZON = timedelta(days=30), timedelta(days=14)
_STAYS = ("expected", "too sensitive")  # reasons for "not useful" that say that nobody leaves
_LONG_ENOUGH = FIRST + HORIZON + 3 * STEP


@dataclass(frozen=True)
class Source:
    """Where histories come from. `begin` and `end` are those of the log."""

    name: str
    begin: datetime
    end: datetime
    histories: Callable[[str], Histories]
    segment: Segment = lambda entity_id: "all"
    oracle: Oracle = lambda target, entity_id, cutoff: None
    outcomes: Outcomes = labels.FROM_LOG

    def cutoffs(self) -> list[datetime]:
        """From when there is something to look back on until the outcome is known. Raises NothingToLearn for too short a log."""
        span = self.end - self.begin
        last = self.end - (HORIZON if span >= _LONG_ENOUGH else SHORT_HORIZON)
        found = [self.begin + FIRST + i * STEP for i in range((last - self.begin - FIRST) // STEP + 1)]
        if not found:
            need = (FIRST + SHORT_HORIZON).days
            raise NothingToLearn(
                f"the log spans {span.days} days; training needs {need}, and {_LONG_ENOUGH.days} for churn in 30 days"
            )
        return found


def simulated(customers: int, days: int, seed: int, until: datetime, say: Say) -> Source:
    """The simulator's history, with what it hides for judging."""
    from simulator.lives import Lives, mappings

    say(f"simulating {customers:,} customers over {days} days (seed {seed})")
    lives = Lives(seed, until, days, customers)

    def histories(entity_type: str) -> Histories:
        found = lives.students() if entity_type == "student" else lives.tutors()
        return ((entity_id, mappings(drafts)) for entity_id, drafts in found)

    def oracle(target: str, entity_id: str, cutoff: datetime) -> float | None:
        horizon = {"churn_14d": 14, "churn_30d": 30}.get(target)
        return None if horizon is None else lives.silent(entity_id, cutoff, horizon)

    name = f"simulated history ({customers:,} customers, {days} days, seed {seed})"
    return Source(name, until - timedelta(days=days), until, histories, lives.segment, oracle)


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


def feedback(store: Any, now_us: int) -> dict[str, list[tuple[datetime, bool]]]:
    """What people said of students and when: whether one left or stays.

    Of an insight: its outcome, else that it was dismissed, which says that the student stays. Of an alert: that it was not
    useful because it was expected or too sensitive says the same.
    """
    said: dict[str, list[tuple[datetime, bool]]] = {}
    for insight in store.insights_judged(now_us - 400 * DAY):
        words = insight.feedback or {}
        outcome, verdict = words.get("outcome"), words.get("verdict")
        if insight.entity_type == "student" and (outcome or verdict == "dismissed"):
            said.setdefault(insight.entity_id, []).append((from_us(insight.created_us), outcome == "churned"))
    alerts, _ = store.alert_list({}, status=("open", "acknowledged", "snoozed", "resolved", "dismissed"))
    doubted = {
        a.alert_id: a.entity_id for a in alerts if a.entity_type == "student" and a.verdict == "not_useful"
    }
    for row in store.audit_rows(list(doubted), now_us, limit=100_000) if doubted else []:
        if row["action"] == "verdict" and row["note"] in _STAYS:
            said.setdefault(doubted[row["alert_id"]], []).append((from_us(row["at_us"]), False))
    return said


def run(
    source: Source, registry: ModelRegistry, *, trials: int, seed: int, threads: int, decided: bool, say: Say
) -> list[Trained]:
    """Train a model of each entity type, keep it, and (if `decided`) put it in use where it is better than the one in use.

    Raises NothingToLearn when no model of any type could be made.
    """
    done, reasons = [], []
    for entity_type in ENTITY_TYPES:
        try:
            made = train(
                source.histories(entity_type),
                entity_type=entity_type,
                cutoffs=source.cutoffs(),
                end=source.end,
                now=datetime.now(UTC),
                trials=trials,
                seed=seed,
                threads=threads,
                outcomes=source.outcomes,
                segment=source.segment,
                oracle=source.oracle,
                source=source.name,
                say=say,
            )
        except NothingToLearn as error:
            reasons.append(f"{entity_type}: {error}")
            say(reasons[-1])
            continue
        registry.add(made.model)
        say(f"kept {made.model.version}")
        if decided:
            decision = judged(registry, made)
            registry.record(entity_type, made.model.version, decision, datetime.now(UTC))
            say(f"{'put in use' if decision.promote else 'not put in use'}: {decision.reason}")
        done.append(made)
    if not done:
        raise NothingToLearn("no model could be trained. " + "; ".join(reasons))
    return done


def judged(registry: ModelRegistry, made: Trained) -> Decision:
    """Compare with the model in use, on the new model's test rows."""
    active = registry.use(made.model.entity_type)["active"]
    if active is None:
        return decide(made.figures, None)
    try:
        current = registry.load(made.model.entity_type, active)
    except ValueError as error:
        return Decision(True, f"the model in use cannot be used any more ({error})")
    return decide(made.figures, figures_on(current, made.table))


def midnight(now_us: int) -> datetime:
    """The last midnight UTC."""
    return from_us(now_us - now_us % DAY)


def moment(text: str) -> datetime:
    """A day, as midnight UTC. ValueError for anything else."""
    day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    to_us(day)
    return day
