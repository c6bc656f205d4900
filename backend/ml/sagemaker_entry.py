"""The program inside a SageMaker container: trains from a channel of events, and answers for the endpoint.

Training reads every file of events of the channel `train` (as `iops export events` writes them, or the archive in S3) and leaves the
registry of models in the model folder. Serving implements the four functions that SageMaker's script mode asks for.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from backend.domain.predictions import ENTITY_TYPES
from backend.ml import features
from backend.ml.event_files import ENDINGS, source_of
from backend.ml.model_files import FolderFiles
from backend.ml.models import Model
from backend.ml.promotion import ModelRegistry
from backend.ml.train_run import run

JSON = "application/json"


class BadRequest(ValueError):
    """The request to the endpoint cannot be answered; the message says why."""


@dataclass(frozen=True)
class Served:
    """The models of the endpoint by entity type."""

    models: dict[str, Model]


def train(channel: Path, model_dir: Path, *, trials: int, seed: int, threads: int) -> None:
    """Train on all files of a channel and put what was made in use in the registry of the model folder."""
    files = sorted(path for path in channel.rglob("*") if path.name.endswith(ENDINGS))
    named = ((path.relative_to(channel).as_posix(), path.read_bytes()) for path in files)
    source = source_of(named, "exported log")
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
    wanted = features.version(model.entity_type)
    if asked.get("feature_version") != wanted:
        raise BadRequest(f"features are of version {asked.get('feature_version')}, not {wanted}")
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
