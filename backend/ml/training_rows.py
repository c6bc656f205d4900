"""The rows that a model was trained on as files: CSV and NDJSON by part, with statistics of every column."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.ml.training_table import PARTS, Table

_DIGITS = 6


def write_rows(table: Table, names: Sequence[str], folder: Path, entity_type: str) -> int:
    """Write `<type>_<part>.csv`, `<type>_<part>.ndjson` and `<type>_statistics.json`; how many rows there were.

    Columns: entity, cutoff, part, segment, the features, then the outcomes as `y_<target>`; empty (null) where unknown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = ["entity", "cutoff", "part", "segment", *names, *(f"y_{target}" for target in table.y)]
    for part in PARTS:
        rows = [_row(table, int(i)) for i in np.flatnonzero(table.part == part)]
        with (folder / f"{entity_type}_{part}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
        lines = (json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
        (folder / f"{entity_type}_{part}.ndjson").write_text("".join(lines), encoding="utf-8")
    (folder / f"{entity_type}_statistics.json").write_text(
        json.dumps(_statistics(table, names), indent=1), encoding="utf-8"
    )
    return len(table.part)


def _row(table: Table, i: int) -> list[Any]:
    said = [str(table.entity[i]), table.cutoff[i].isoformat(), str(table.part[i]), str(table.segment[i])]
    return [*said, *map(_known, table.x[i]), *(_known(y[i]) for y in table.y.values())]


def _known(value: float) -> float | None:
    return None if value != value else round(float(value), _DIGITS)


def _statistics(table: Table, names: Sequence[str]) -> dict[str, Any]:
    columns = dict(zip(names, table.x.T, strict=True)) | {f"y_{t}": y for t, y in table.y.items()}
    return {
        "rows": {part: int(np.sum(table.part == part)) for part in PARTS},
        "entities": len(np.unique(table.entity)),
        "segments": {str(s): int(np.sum(table.segment == s)) for s in np.unique(table.segment)},
        "columns": {name: _of(np.asarray(values, float)) for name, values in columns.items()},
    }


def _of(values: np.ndarray) -> dict[str, float | None]:
    """Share missing, mean, standard deviation, least, middle and largest of a column."""
    seen = values[~np.isnan(values)]
    missing = 1 - len(seen) / max(len(values), 1)
    if not len(seen):
        return {"missing": missing, "mean": None, "sd": None, "min": None, "median": None, "max": None}
    found = {
        "mean": seen.mean(),
        "sd": seen.std(),
        "min": seen.min(),
        "median": np.median(seen),
        "max": seen.max(),
    }
    return {"missing": round(missing, _DIGITS)} | {name: _known(value) for name, value in found.items()}
