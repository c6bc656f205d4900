"""Model files in a bucket."""

from __future__ import annotations

from backend.adapters.aws.files import Files
from backend.domain.errors import NotFound


class BucketFiles:
    """Implements ml.model_files.ModelFiles over a bucket."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, name: str) -> bytes:
        try:
            return self._files.get(name)
        except NotFound as error:
            raise FileNotFoundError(name) from error

    def write(self, name: str, data: bytes) -> None:
        self._files.put(name, data, "application/json")

    def names(self) -> list[str]:
        return sorted(self._files.names(""))
