"""Where this installation keeps its models: the folder `models` in the data folder, beside those that came with the program."""

from __future__ import annotations

from pathlib import Path

from backend.ml.model_files import SHIPPED, FolderFiles
from backend.ml.promotion import ModelRegistry


def registry(data_dir: Path) -> ModelRegistry:
    """The registry of an installation."""
    return ModelRegistry(FolderFiles(data_dir / "models"), SHIPPED)
