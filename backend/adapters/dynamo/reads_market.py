"""Reading supply and demand as reported, per subject and region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from backend.adapters.dynamo.items import unpack
from backend.adapters.dynamo.keys import market_partition, time_sort
from backend.adapters.dynamo.snapshots import PLACES, Snapshots
from backend.adapters.dynamo.table import Table
from backend.adapters.dynamo.writes import SNAPSHOT
from backend.domain.times import DAY, HOUR
from backend.domain.windows import cell_id

_END = "\U0010ffff"


class MarketReads:
    """One partition per cell, in order of time."""

    table: Table
    snapshots: Snapshots

    def market_newest(self, filters: Mapping[str, str], at_us: int) -> list[dict[str, Any]]:
        """The newest snapshot up to that moment of each cell within the filters, with its counts of the last 7 days.

        A cell without any snapshot is listed with None everywhere.
        """
        rows = self.snapshots.within("cell", filters)
        rows.sort(key=lambda row: tuple(row.entity_id.split("|")))
        newest = self.table.each(lambda row: self._newest(row.entity_id, at_us), rows)
        return [
            {
                **(found or dict.fromkeys(SNAPSHOT)),
                **dict(zip(PLACES, row.entity_id.split("|"), strict=True)),
                "sessions_7d": row.values["sessions_7d"],
                "ib_calls_7d": row.values["ib_calls_7d"],
            }
            for row, found in zip(rows, newest, strict=True)
        ]

    def market_counts(
        self, filters: Mapping[str, str], start_us: int, end_us: int
    ) -> dict[tuple[str, str], int]:
        """Snapshots of each cell in (start, end]."""
        histories = self._histories(filters, start_us, end_us)
        return {cell: len(rows) for cell, rows in histories.items() if rows}

    def market_usual(self, filters: Mapping[str, str], at_us: int) -> dict[tuple[str, str], float]:
        """Mean demand (hours, else requests, else score) of each cell at this hour of day over the 7 days before."""
        hour = at_us // HOUR % 24
        samples: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for cell, rows in self._histories(filters, at_us - 7 * DAY, at_us - at_us % HOUR - 1).items():
            for row in rows:
                demand = next(
                    (
                        row[name]
                        for name in ("demand_hours", "pending_requests", "demand_score")
                        if row[name] is not None
                    ),
                    None,
                )
                if demand is not None and row["at_us"] // HOUR % 24 == hour:
                    samples[cell].append(demand)
        return {cell: sum(values) / len(values) for cell, values in samples.items()}

    def market_history(self, subject: str, region: str, start_us: int, end_us: int) -> list[dict[str, Any]]:
        """Snapshots of one cell in (start, end], oldest first."""
        if end_us <= start_us:
            return []
        items = self.table.query(
            market_partition(cell_id(subject, region)),
            time_sort(max(0, start_us + 1)),
            time_sort(max(0, end_us)) + _END,
            consistent=False,
        )
        return [dict(zip(SNAPSHOT, unpack(item["b"]), strict=True)) for item in items]

    def _newest(self, cell: str, at_us: int) -> dict[str, Any] | None:
        last = time_sort(at_us) + _END
        for item in self.table.query(
            market_partition(cell), last=last, descending=True, limit=1, consistent=False
        ):
            return dict(zip(SNAPSHOT, unpack(item["b"]), strict=True))
        return None

    def _histories(
        self, filters: Mapping[str, str], start_us: int, end_us: int
    ) -> dict[tuple[str, str], list[dict[str, Any]]]:
        places = {name: filters[name] for name in PLACES if name in filters}
        cells = [row.entity_id.partition("|") for row in self.snapshots.within("cell", places)]
        read = self.table.each(lambda cell: self.market_history(cell[0], cell[2], start_us, end_us), cells)
        return {(subject, region): rows for (subject, _, region), rows in zip(cells, read, strict=True)}
