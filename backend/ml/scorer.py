"""Scores with the models of a registry: the one in use, or the canary for its share of entities; a shadow says beside it what nobody is shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from backend.domain.events import Event
from backend.domain.predictions import ENTITY_TYPES, Scored
from backend.domain.times import from_us, to_us
from backend.domain.trials import Pair, began
from backend.ml import features
from backend.ml.history import as_mapping
from backend.ml.labels import outcomes
from backend.ml.models import Model, ModelMismatch
from backend.ml.promotion import ModelRegistry, version_for

log = logging.getLogger("iops.models")
_LOOK_SECONDS = 2.0  # how soon a decision made by another process is noticed


class LocalModels:
    """Implements Models of services.scoring and TrialModels of services.trials over the files of a registry; used by one thread."""

    def __init__(self, registry: ModelRegistry, clock: Callable[[], float] = time.monotonic):
        self._registry, self._clock = registry, clock
        self._use: dict[str, dict[str, Any]] = {}
        self._read_at = float("-inf")
        self._models: dict[str, Model | None] = {}

    def predict(self, entity_type: str, entity_id: str, events: Sequence[Event], at_us: int) -> Scored | None:
        version, canary = version_for(self._used()[entity_type], entity_id)
        model = self.model(entity_type, version)
        if model is None:
            return None
        vector = features.vector(entity_type, [as_mapping(event) for event in events], from_us(at_us))
        known = model.known(vector)
        return Scored(
            entity_type=entity_type,
            entity_id=entity_id,
            at_us=at_us,
            model=model.version,
            canary=canary,
            trained_on=model.data["source"],
            predictions=model.predict_vector(vector),
            missing=[name for name in model.feature_names if name not in known],
            features=known,
        )

    def beside(self, scored: Sequence[Scored]) -> list[Pair]:
        """What the models of a trial say of the same inputs: of a canary's share it and the one in use, of the others it and the shadow."""
        found = []
        for one in scored:
            use = self._used()[one.entity_type]
            trial = one.model if one.canary else use["shadow"]
            other = self.model(one.entity_type, use["active"] if one.canary else trial)
            if trial is None or other is None or other.version == one.model:
                continue
            theirs = other.values(one.features)
            ours = {target: p.value for target, p in one.predictions.items() if target in theirs}
            said = {t: (theirs[t], v) if one.canary else (v, theirs[t]) for t, v in ours.items()}
            found.append(began(one.entity_type, one.entity_id, use["active"], trial, one.at_us, said))
        return found

    def trials(self) -> list[tuple[str, str, str]]:
        return [
            (kind, use["active"], trial)
            for kind, use in self._used().items()
            for trial in ((use["canary"] or {}).get("version"), use["shadow"])
            if trial
        ]

    def came_of(
        self, entity_type: str, events: Sequence[Event], at_us: int, end_us: int
    ) -> Mapping[str, float]:
        return outcomes(entity_type, [as_mapping(event) for event in events], from_us(at_us), from_us(end_us))

    def kinds(self) -> tuple[str, ...]:
        return tuple(kind for kind in ENTITY_TYPES if self.active(kind) is not None)

    def decided_us(self) -> int:
        lines = [
            line["at"]
            for use in self._used().values()
            for line in use["log"]
            if line["what"] not in ("keep", "drop")
        ]
        return max((to_us(datetime.fromisoformat(at)) for at in lines), default=0)

    def active(self, entity_type: str) -> Model | None:
        """The model in use for most; None if there is none that can be used."""
        return self.model(entity_type, self._used()[entity_type]["active"])

    def model(self, entity_type: str, version: str | None) -> Model | None:
        """A version, kept once read; None, said once in the log, where it cannot be used."""
        if version is None:
            return None
        if version not in self._models:
            try:
                self._models[version] = self._registry.load(entity_type, version)
            except (ModelMismatch, ValueError, KeyError, OSError) as error:
                log.warning("model %s cannot be used, so nothing is predicted with it: %s", version, error)
                self._models[version] = None
        return self._models[version]

    def _used(self) -> dict[str, dict[str, Any]]:
        if self._clock() - self._read_at >= _LOOK_SECONDS:
            self._use = {kind: self._registry.use(kind) for kind in ENTITY_TYPES}
            self._read_at = self._clock()
        return self._use
