"""Scores students and tutors with the models in use, and keeps what they said. Both runtimes call this, each in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backend.domain.events import Event
from backend.domain.predictions import Prediction, Scored
from backend.domain.times import DAY, HOUR, iso
from backend.ports import Alerts, Reads
from backend.services.predicted import settle_predicted

Key = tuple[str, str]  # (entity type, id)
FRESH_US = 6 * HOUR  # a prediction older than this is made anew: silence says something too
LOOK_BACK_US = 400 * DAY  # no feature looks further back than this, save those over a whole life
KEEP_DAYS = 90


class Predictions(Protocol):
    """What models said of students and tutors. A key is (entity type, id)."""

    def save_predictions(self, scored: Sequence[Scored], now_us: int) -> None:
        """Save as the newest of each entity and as the last of its hour, and announce it, in one transaction."""

    def scored_at(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """When each was scored last; those that never were are left out."""

    def unscored(self, kinds: Sequence[str], before_us: int, limit: int) -> list[tuple[str, str]]:
        """Entities of these types never scored, changed since, or scored before that moment; the longest ago first."""

    def predictions(self, kind: str, ids: Sequence[str], at_us: int | None = None) -> dict[str, Scored]:
        """The newest of each, or the newest known at `at_us` (to the last of an hour)."""

    def prediction_history(self, kind: str, entity_id: str, since_us: int, until_us: int) -> list[Scored]:
        """The last of each hour, oldest first, without features."""

    def prediction_totals(self) -> list[dict[str, Any]]:
        """By entity type and model: entity_type, model, scored, with_risk, mean_risk (0-1), high_risk (from 0.5), oldest_us."""

    def prediction_features(self, kind: str, since_us: int, limit: int) -> list[Mapping[str, float]]:
        """Features that had a value when an entity was scored last, of up to `limit` entities scored since then."""

    def prune_predictions(self, before_us: int) -> int:
        """Forget the hours before; the newest of each entity stays. Returns how many went."""


class Models(Protocol):
    """Models that score: files of this installation, or an endpoint elsewhere."""

    def predict(self, entity_type: str, entity_id: str, events: Sequence[Event], at_us: int) -> Scored | None:
        """Predictions from the events up to the moment; None where no model can be used any more. Raises ModelsUnavailable."""

    def kinds(self) -> tuple[str, ...]:
        """The entity types that can be scored now."""

    def decided_us(self) -> int:
        """When it was last decided which model scores whom; what was scored before is due again. 0: never."""


class ModelsUnavailable(Exception):
    """Nothing can be scored just now; the same may succeed later."""


class Store(Reads, Alerts, Predictions, Protocol):
    """The part of the store that is needed here."""


def score(store: Store, models: Models, changed: Mapping[Key, int], now_us: int) -> list[Scored]:
    """Score those of the entities that have not been scored since they changed; what is returned is saved.

    `changed`: when each changed, by what the store says. The log is read after `now_us`, so that whatever comes later makes
    the entity due again. Raises ModelsUnavailable with nothing saved.
    """
    known, kinds = store.scored_at(list(changed)), models.kinds()
    done = []
    for (kind, entity_id), at_us in changed.items():
        if kind not in kinds or known.get((kind, entity_id), -1) >= at_us:
            continue
        events = list(store.log({kind: entity_id}, now_us - LOOK_BACK_US, now_us))
        found = models.predict(kind, entity_id, events, now_us)
        if found is not None:
            done.append(found)
    if done:
        settle_predicted(store, done, now_us)  # first: what fails here is scored, and so judged, again
        store.save_predictions(done, now_us)
    return done


def due(store: Predictions, models: Models, now_us: int, limit: int) -> list[Key]:
    """Entities to score although no change of theirs is waiting: never scored, scored long ago, or by what is not in use now."""
    return store.unscored(models.kinds(), max(now_us - FRESH_US, models.decided_us()), limit)


def document(scored: Scored | None) -> dict[str, Any]:
    """Predictions as the API gives them: by target {value, low, high, model, at, contributions}. Empty without any."""
    if scored is None:
        return {}
    return {target: _target(prediction, scored) for target, prediction in scored.predictions.items()}


def _target(prediction: Prediction, scored: Scored) -> dict[str, Any]:
    return {
        "value": prediction.value,
        "low": prediction.low,
        "high": prediction.high,
        "model": scored.model,
        "canary": scored.canary,
        "trained_on": scored.trained_on,
        "at": iso(scored.at_us),
        "contributions": [
            {"feature": c.feature, "value": c.value, "unit": c.unit, "amount": c.amount}
            for c in prediction.contributions
        ],
    }


def newest(store: Predictions, kind: str, ids: Sequence[str], as_of_us: int | None) -> dict[str, Scored]:
    """What was said last of each, or what was known at a past moment."""
    return store.predictions(kind, ids, as_of_us)
