"""The program inside a SageMaker container: trains from a channel of events, and answers for the endpoint.

Training reads every `*.ndjson` of the channel `train` (one event per line, as `iops export events` writes them) and leaves the
registry of models in the model folder. Serving implements the four functions that SageMaker's script mode asks for.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backend.domain.parsing import parse
from backend.domain.predictions import ENTITY_TYPES
from backend.domain.times import to_us
from backend.ml import features
from backend.ml.history import as_mapping
from backend.ml.model_files import FolderFiles
from backend.ml.models import Model
from backend.ml.promotion import ModelRegistry
from backend.ml.train_run import Source, run
from backend.ml.training_table import Histories

JSON = "application/json"


class BadRequest(ValueError):
    """The request to the endpoint cannot be answered; the message says why."""


@dataclass(frozen=True)
class Served:
    """The models of the endpoint by entity type."""

    models: dict[str, Model]


def source_of(files: Iterable[Path]) -> Source:
    """Histories from files of events. ValueError, with the file and line, for one that is no event."""
    by_entity: dict[str, dict[str, list[dict[str, Any]]]] = {kind: defaultdict(list) for kind in ENTITY_TYPES}
    first, last = None, None
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            event = _event(line, f"{path.name} line {number}")
            for kind, entity_id in (("student", event.student_id), ("tutor", event.tutor_id)):
                if entity_id is not None:
                    by_entity[kind][entity_id].append(as_mapping(event))
            at = as_mapping(event)["occurred_at"]
            first, last = min(first or at, at), max(last or at, at)
    if first is None or last is None:
        raise ValueError("the channel holds no event")

    def histories(entity_type: str) -> Histories:
        return sorted(by_entity[entity_type].items())

    return Source("exported log", first, last, histories)


def _event(line: str, place: str) -> Any:
    try:
        item = json.loads(line)
        received = datetime.fromisoformat(item.get("received_at") or item["occurred_at"])
        return parse(item, to_us(received)).event
    except Exception as error:  # whatever is wrong with a line, the place is what helps
        raise ValueError(f"{place} is no event: {error}") from error


def train(channel: Path, model_dir: Path, *, trials: int, seed: int, threads: int) -> None:
    """Train on all files of a channel and put what was made in use in the registry of the model folder."""
    source = source_of(sorted(channel.rglob("*.ndjson")))
    registry = ModelRegistry(FolderFiles(model_dir))
    run(source, registry, trials=trials, seed=seed, threads=threads, decided=True, say=print)


def model_fn(model_dir: str) -> Served:
    """The models that are in use in the registry of the folder."""
    registry = ModelRegistry(FolderFiles(Path(model_dir)))
    active = {kind: registry.use(kind)["active"] for kind in ENTITY_TYPES}
    return Served({kind: registry.load(kind, name) for kind, name in active.items() if name is not None})


def input_fn(body: bytes | str, content_type: str) -> dict[str, Any]:
    """The request as plain data. Raises BadRequest for anything but JSON."""
    if content_type.partition(";")[0].strip() != JSON:
        raise BadRequest(f"send {JSON}, not {content_type}")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadRequest(str(error)) from error


def predict_fn(asked: dict[str, Any], served: Served) -> dict[str, Any]:
    """Predictions for features by name; those that are not sent are missing. Raises BadRequest."""
    kind = asked.get("entity_type")
    model = served.models.get(str(kind))
    if model is None:
        raise BadRequest(f"no model of {kind}; there are: {', '.join(served.models) or 'none'}")
    if asked.get("feature_version") != model.feature_version:
        raise BadRequest(
            f"features are of version {asked.get('feature_version')}, not {model.feature_version}"
        )
    known = asked.get("features", {})
    vector = np.array([known.get(name, np.nan) for name in features.names(model.entity_type)], np.float32)
    return {
        "model": model.version,
        "trained_on": model.data["source"],
        "canary": False,
        "predictions": model.predict_vector(vector),
    }


def output_fn(answer: dict[str, Any], accept: str) -> tuple[bytes, str]:
    """The answer as JSON."""
    return msgspec.json.encode(answer), JSON


def main() -> None:
    """Hyper-parameters come as options; the folders are those of every SageMaker container."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trials", type=int, default=50)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options.add_argument("--train", default="/opt/ml/input/data/train")
    options.add_argument("--model-dir", default="/opt/ml/model")
    chosen = options.parse_args()
    train(
        Path(chosen.train),
        Path(chosen.model_dir),
        trials=chosen.trials,
        seed=chosen.seed,
        threads=chosen.threads,
    )


if __name__ == "__main__":
    main()
