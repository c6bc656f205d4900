"""Rows of read models as flat dicts for tables and exports, and as text files that cannot run as formulas."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from backend.domain.times import iso
from dashboard.filters import encode
from dashboard.view import View

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def flat(rows: Iterable[msgspec.Struct], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Structs as dicts of plain values: times (`_us`) as ISO text, lists as text joined by "; "; `columns` picks and orders."""
    out = []
    for row in rows:
        names = columns or row.__struct_fields__
        out.append(
            {
                name.removesuffix("_us") if name.endswith("_us") else name: _plain(name, getattr(row, name))
                for name in names
            }
        )
    return out


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_us"):
        return iso(value)
    if isinstance(value, list):
        return "; ".join("" if item is None else str(item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    return value


def about(view: View, path: str, count: int) -> dict[str, Any]:
    """What travels with an export: where it came from, the filter, zone, moment and number of rows."""
    return {
        "source": path + encode(view.filters),
        "scope": view.scope_text,
        "zone": view.zone.name,
        "computed_at": iso(view.now_us),
        "as_of": iso(view.scope.at_us),
        "rows": count,
    }


def csv_text(rows: Sequence[dict[str, Any]], view: View, path: str, *, comments: bool = True) -> str:
    """CSV with `#` lines on top (off with `comments=False`); text that a spreadsheet would run is quoted with '."""
    out = io.StringIO()
    if comments:
        for key, value in about(view, path, len(rows)).items():
            out.write(f"# {key}: {value}\n")
    if rows:
        writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([{key: _safe(value) for key, value in row.items()} for row in rows])
    return out.getvalue()


def json_text(rows: Sequence[dict[str, Any]], view: View, path: str) -> str:
    return json.dumps(
        {"meta": about(view, path, len(rows)), "rows": list(rows)}, ensure_ascii=False, indent=1
    )


def _safe(value: Any) -> Any:
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value
