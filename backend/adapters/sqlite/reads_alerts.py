"""Reading alerts and what happened to them, now or as they stood at a moment in the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.adapters.sqlite.alerts import FIELDS, alert_from
from backend.adapters.sqlite.clauses import alert_clause, like
from backend.adapters.sqlite.connections import Connections
from backend.domain.alerts import Alert, then
from backend.domain.stakes import HOUR_VALUE

_COLUMNS = ", ".join(FIELDS)
_RANK = "CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END"
_LOSS = (
    "SELECT expected_loss FROM entities e WHERE e.entity_type = 'student' AND e.entity_id = alerts.entity_id"
)
# backend.domain.stakes.stake in SQL, so that ten of ten thousand are found without reading all of them into Python.
_STAKE = (
    f"coalesce(CASE entity_type WHEN 'student' THEN ({_LOSS}) WHEN 'cell'"
    f" THEN nullif(max(0, -json_extract(details, '$.gap_hours') * {HOUR_VALUE}), 0) END, occurrences)"
)
FEW = 400  # rows of a list up to which alerts are judged one by one
_ORDER = {
    "severity": f"{_RANK}, opened_us DESC, alert_id",
    "stake": f"{_RANK}, {_STAKE} DESC, opened_us, alert_id",
    "newest": "opened_us DESC, alert_id",
    "oldest": "opened_us, alert_id",
    "repeats": "occurrences DESC, opened_us DESC, alert_id",
}


class AlertReads(Connections):
    """Every change of an alert left an audit row whose `after` reads status/severity[/owner]."""

    def alert_list(
        self,
        filters: Mapping[str, str],
        *,
        status: Sequence[str] = (),
        severity: str | None = None,
        alert_type: str | None = None,
        entity: tuple[str, str] | None = None,
        search: str | None = None,
        sort: str = "severity",
        limit: int = -1,
        offset: int = 0,
        as_of_us: int | None = None,
        counted: bool = True,
    ) -> tuple[list[Alert], int]:
        """Alerts in an order of ports.ALERT_SORTS, and how many match (unless not `counted`: how many are returned).

        `as_of_us`: as they stood then, from the audit trail.
        """
        where = alert_clause(filters, walked=not counted and 0 <= offset + limit <= FEW)
        for column, value in (
            ("alert_type", alert_type),
            ("severity", severity if as_of_us is None else None),
        ):
            if value:
                where.add(f"{column} = ?", value)
        if entity:
            where.add("entity_type = ? AND entity_id = ?", *entity)
        if search:
            fields = ("title", "message", "entity_id", "entity_name")
            anywhere = " OR ".join(f"{field} LIKE ? ESCAPE '\\'" for field in fields)
            where.add(f"({anywhere})", *[like(search)] * len(fields))
        if as_of_us is not None:
            where.add("opened_us <= ?", as_of_us)
            return self._as_of(where.text, where.values, as_of_us, status, severity, sort, limit, offset)
        if status:
            where.add(f"status IN ({','.join('?' * len(status))})", *status)
        rows = self.connection().execute(
            f"SELECT {_COLUMNS} FROM alerts WHERE {where.text} ORDER BY {_ORDER[sort]} LIMIT ? OFFSET ?",
            (*where.values, limit, offset),
        )
        found = [alert_from(row) for row in rows]
        if not counted:
            return found, len(found)
        total = self.connection().execute(f"SELECT count(*) FROM alerts WHERE {where.text}", where.values)
        return found, total.fetchone()[0]

    def _as_of(
        self,
        where: str,
        values: list[Any],
        at_us: int,
        status: Sequence[str],
        severity: str | None,
        sort: str,
        limit: int,
        offset: int,
    ) -> tuple[list[Alert], int]:
        rows = self.connection().execute(
            f"SELECT {_COLUMNS}, (SELECT at_us || '|' || after FROM audit u WHERE u.alert_id = alerts.alert_id"
            f" AND u.at_us <= ? ORDER BY u.sequence DESC LIMIT 1) FROM alerts WHERE {where} ORDER BY {_ORDER[sort]}",
            (at_us, *values),
        )
        found = [then(alert_from(row[:-1]), *_last(row[-1]), at_us) for row in rows]
        kept = [a for a in found if (not status or a.status in status) and severity in (None, a.severity)]
        if sort in ("severity", "stake"):  # the one it had then
            rank = {"critical": 0, "warning": 1, "info": 2}
            kept.sort(key=lambda a: rank[a.severity])  # stable: the order inside a severity stays
        return kept[offset : None if limit < 0 else offset + limit], len(kept)

    def alert_tallies(self, filters: Mapping[str, str]) -> list[tuple[str, str, bool, int]]:
        """(status, severity, owned, alerts)."""
        where = alert_clause(filters)
        return (
            self.connection()
            .execute(
                f"SELECT status, severity, owner IS NOT NULL, count(*) FROM alerts WHERE {where.text} GROUP BY 1, 2, 3",
                where.values,
            )
            .fetchall()
        )

    def alert_openings(
        self, filters: Mapping[str, str], start_us: int, end_us: int, step_us: int
    ) -> list[tuple[int, str, int]]:
        """(start of the step, severity it has now, alerts opened in it) for alerts opened in (start, end]."""
        where = alert_clause(filters)
        where.add("opened_us > ? AND opened_us <= ?", start_us, end_us)
        return (
            self.connection()
            .execute(
                f"SELECT opened_us - opened_us % ?, severity, count(*) FROM alerts WHERE {where.text}"
                " GROUP BY 1, 2 ORDER BY 1, 2",
                (step_us, *where.values),
            )
            .fetchall()
        )

    def alert_by_id(self, alert_id: str) -> Alert | None:
        row = (
            self.connection()
            .execute(f"SELECT {_COLUMNS} FROM alerts WHERE alert_id = ?", (alert_id,))
            .fetchone()
        )
        return None if row is None else alert_from(row)

    def open_alerts(self, kind: str, ids: Sequence[str]) -> dict[str, int]:
        """How many alerts are open or acknowledged for each entity."""
        counts: dict[str, int] = {}
        for i in range(0, len(ids), 500):
            part = ids[i : i + 500]
            counts |= dict(
                self.connection().execute(
                    f"SELECT entity_id, count(*) FROM alerts WHERE entity_type = ? AND entity_id IN ({','.join('?' * len(part))})"
                    " AND status IN ('open', 'acknowledged') GROUP BY entity_id",
                    (kind, *part),
                )
            )
        return counts

    def losses(self, ids: Sequence[str]) -> dict[str, float]:
        """Expected loss of those students for whom it is known."""
        found: dict[str, float] = {}
        for i in range(0, len(ids), 500):
            part = ids[i : i + 500]
            found |= dict(
                self.connection().execute(
                    "SELECT entity_id, expected_loss FROM entities WHERE entity_type = 'student'"
                    f" AND expected_loss IS NOT NULL AND entity_id IN ({','.join('?' * len(part))})",
                    part,
                )
            )
        return found

    def audit_rows(self, alert_ids: Sequence[str], until_us: int, limit: int = 200) -> list[dict[str, Any]]:
        """Changes of these alerts up to a moment, newest first."""
        names = ("sequence", "alert_id", "at_us", "actor", "action", "before", "after", "note")
        rows = self.connection().execute(
            f"SELECT {', '.join(names)} FROM audit WHERE alert_id IN ({','.join('?' * len(alert_ids))})"
            " AND at_us <= ? ORDER BY sequence DESC LIMIT ?",
            (*alert_ids, until_us, limit),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]


def _last(row: str | None) -> tuple[int, str | None]:
    """When the alert changed last before the moment, and how it stood then; of none, nothing."""
    at_us, _, after = (row or "0|").partition("|")
    return int(at_us), after or None
