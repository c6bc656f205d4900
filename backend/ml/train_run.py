"""One run of training: a source of histories, a model of each entity type, compared with what is in use, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backend.domain.predictions import ENTITY_TYPES
from backend.ml import labels
from backend.ml.promotion import Decision, ModelRegistry, decide
from backend.ml.training import NothingToLearn, Oracle, Trained, figures_on, train
from backend.ml.training_rows import write_rows
from backend.ml.training_table import Histories, Outcomes, Segment

Say = Callable[[str], None]
FIRST, STEP = timedelta(days=28), timedelta(days=5)  # what a first cut-off looks back on; between cut-offs
HORIZON, SHORT_HORIZON = timedelta(days=30), timedelta(days=14)
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
    usual: Callable[[str], Histories] | None = (
        None  # what inputs are compared with later, where it is not what was learned from
    )

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


def run(
    source: Source,
    registry: ModelRegistry,
    *,
    trials: int,
    seed: int,
    threads: int,
    decided: bool,
    say: Say,
    rows: Path | None = None,
) -> list[Trained]:
    """Train a model of each entity type, keep it, and (if `decided`) put it in use where it is better than the one in use.

    `rows`: a folder that also gets the rows it learned from, with statistics. Raises NothingToLearn when no model of any type could be made.
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
                usual=None if source.usual is None else source.usual(entity_type),
                say=say,
            )
        except NothingToLearn as error:
            reasons.append(f"{entity_type}: {error}")
            say(reasons[-1])
            continue
        registry.add(made.model)
        if made.small is not None:
            registry.add(made.small)
            say(f"kept {made.small.version}, of {len(made.small.feature_names)} features")
        if rows is not None:
            say(
                f"wrote {write_rows(made.table, made.model.feature_names, rows, entity_type):,} rows to {rows}"
            )
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
