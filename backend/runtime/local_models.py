"""Where this installation keeps its models, and what scores with them: the folder `models` in the data folder, beside those
that came with the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.ml.model_files import SHIPPED, FolderFiles
from backend.ml.promotion import ModelRegistry

if TYPE_CHECKING:
    from backend.runtime.scoring_follower import ScoringFollower
    from backend.runtime.settings import Settings
    from backend.runtime.training_follower import TrainingFollower


def registry(data_dir: Path) -> ModelRegistry:
    """The registry of an installation."""
    return ModelRegistry(FolderFiles(data_dir / "models"), SHIPPED)


def trainer(store: Any, settings: Settings, clock: Callable[[], int]) -> TrainingFollower | None:
    """What trains in the background; None where models are not files of this installation."""
    if settings.models != "local":
        return None
    from backend.runtime.training_follower import TrainingFollower

    return TrainingFollower(store, clock, settings.data_dir, settings.train_every)


def follower(store: Any, settings: Settings, clock: Callable[[], int]) -> ScoringFollower | None:
    """What scores in the engine; None where nobody should."""
    if settings.models == "off":
        return None
    from backend.ml import drift_watch
    from backend.ml.scorer import LocalModels
    from backend.runtime.scoring_follower import ScoringFollower

    endpoint = settings.models.removeprefix("sagemaker:")
    if endpoint != settings.models:
        from backend.adapters.sagemaker import SageMakerModels

        return ScoringFollower(store, SageMakerModels(endpoint), clock)
    models = LocalModels(registry(settings.data_dir))
    return ScoringFollower(
        store, models, clock, lambda now_us: drift_watch.watch(store, models, now_us), models
    )
