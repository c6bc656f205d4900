"""Where model files lie: a few named byte strings. A folder here; an object store can stand in with the same three methods."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class ModelFiles(Protocol):
    """Names use "/" between parts. `write` replaces the whole file or nothing."""

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""

    def write(self, name: str, data: bytes) -> None: ...

    def names(self) -> list[str]:
        """All names, sorted."""


class FolderFiles:
    """Model files in a folder, which is made when something is first written."""

    def __init__(self, root: Path):
        self.root = root

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(path)

    def names(self) -> list[str]:
        found = (path for path in self.root.rglob("*") if path.is_file() and path.suffix != ".part")
        return sorted(path.relative_to(self.root).as_posix() for path in found)


SHIPPED = FolderFiles(Path(__file__).with_name("shipped"))  # the models that come with the program
