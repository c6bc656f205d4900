"""Insights, their feedback and the use of language models in SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.sqlite.alerts import FIELDS, alert_from
from backend.adapters.sqlite.connections import Connections
from backend.domain.alerts import Alert
from backend.domain.insights import HIGH_RISK, Insight

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Insight).decode
_SAVE = """INSERT OR REPLACE INTO insights (insight_id, alert_id, entity_type, entity_id, kind, severity, score, source, model,
  prompt_version, facts_digest, created_us, simulated, verdict, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_CHANGE = "INSERT INTO changes (at_us, kind, key) VALUES (?, 'insight', ?)"
# The newest insight of the alert has the alert's severity: then it is explained as it stands. Word for word what the index has.
_UNEXPLAINED = f"""SELECT {", ".join(FIELDS)} FROM alerts INDEXED BY alerts_unexplained
  WHERE resolved_us IS NULL AND severity IS NOT explained AND entity_type IN ('student', 'tutor', 'cell')
  ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, opened_us DESC, alert_id LIMIT ?"""
_EXPLAINED = """UPDATE alerts SET explained = (SELECT i.severity FROM insights i WHERE i.alert_id = alerts.alert_id
  ORDER BY i.created_us DESC LIMIT 1) WHERE alert_id = ?"""
_USE = """INSERT INTO llm_usage (day_us, name, n) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"""


class SqliteInsights(Connections):
    """Implements Insights of backend.ports; mixed into SqliteStore."""

    def save_insights(self, insights: Sequence[Insight], now_us: int) -> None:
        with self.transaction() as connection:
            connection.executemany(_SAVE, [_row(insight) for insight in insights])
            connection.executemany(_EXPLAINED, [(i.alert_id,) for i in insights if i.alert_id is not None])
            keys = [insight.insight_id for insight in insights]
            keys += [f"{i.insight_id}/{i.score:.0f}" for i in insights if (i.score or 0) >= HIGH_RISK]
            connection.executemany(_CHANGE, [(now_us, key) for key in keys])

    def unexplained(self, limit: int) -> list[Alert]:
        return [alert_from(row) for row in self.connection().execute(_UNEXPLAINED, (limit,))]

    def segments(self) -> dict[tuple[str, str], str]:
        rows = self.connection().execute(
            "SELECT entity_type, entity_id, segment FROM entities "
            "WHERE entity_type IN ('student', 'tutor') AND segment IS NOT NULL"
        )
        return {(kind, entity_id): segment for kind, entity_id, segment in rows}

    def insight(self, insight_id: str) -> Insight | None:
        found = self._insights("insight_id = ?", (insight_id,), 1)
        return found[0] if found else None

    def insights_of_alerts(self, alert_ids: Sequence[str]) -> dict[str, Insight]:
        ids = msgspec.json.encode(list(alert_ids)).decode()
        rows = self.connection().execute(
            "SELECT body FROM insights WHERE alert_id IN (SELECT value FROM json_each(?)) ORDER BY created_us",
            (ids,),
        )
        found = [_decode(body) for (body,) in rows]
        return {insight.alert_id: insight for insight in found if insight.alert_id is not None}

    def insights_of(self, entity_type: str, entity_id: str, limit: int = 1) -> list[Insight]:
        return self._insights("entity_type = ? AND entity_id = ?", (entity_type, entity_id), limit)

    def insights_like(
        self, kind: str | None, severity: str | None, floor: float | None, limit: int
    ) -> list[Insight]:
        wanted = (("kind = ?", kind), ("severity = ?", severity), ("score >= ?", floor))
        chosen = [(clause, value) for clause, value in wanted if value is not None]
        where = " AND ".join(clause for clause, _ in chosen) or "1"
        return self._insights(where, tuple(value for _, value in chosen), limit)

    def loose_insights(self, since_us: int, limit: int) -> list[Insight]:
        return self._insights("alert_id IS NULL AND created_us > ?", (since_us,), limit)

    def worded_before(self, facts_digest: str, since_us: int) -> Insight | None:
        found = self._insights(
            "source != 'rules' AND facts_digest = ? AND created_us > ?", (facts_digest, since_us), 1
        )
        return found[0] if found else None

    def put_feedback(self, insight_id: str, feedback: dict[str, Any], now_us: int) -> bool:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT body FROM insights WHERE insight_id = ?", (insight_id,)
            ).fetchone()
            if row is None:
                return False
            insight = msgspec.structs.replace(_decode(row[0]), feedback=feedback)
            connection.execute(_SAVE, _row(insight))
            connection.execute(_CHANGE, (now_us, insight_id))
            return True

    def insights_judged(self, since_us: int) -> list[Insight]:
        return [i for i in self._insights("created_us > ?", (since_us,), -1) if i.feedback]

    def feedback_counts(self, since_us: int) -> dict[str, int]:
        rows = self.connection().execute(
            "SELECT verdict, count(*) FROM insights WHERE created_us > ? AND verdict IS NOT NULL GROUP BY verdict",
            (since_us,),
        )
        return {"accepted": 0, "dismissed": 0} | dict(rows.fetchall())

    def use_llm(self, day_us: int, cap: int) -> bool:
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT n FROM llm_usage WHERE day_us = ? AND name = 'calls'", (day_us,)
            ).fetchone()
            if (row[0] if row else 0) >= cap:
                return False
            connection.execute(_USE, (day_us, "calls", 1))
            return True

    def add_llm_usage(self, day_us: int, counts: Mapping[str, int]) -> None:
        with self.transaction() as connection:
            connection.executemany(_USE, [(day_us, name, n) for name, n in counts.items() if n])

    def llm_usage(self, day_us: int) -> dict[str, int]:
        rows = self.connection().execute("SELECT name, n FROM llm_usage WHERE day_us = ?", (day_us,))
        return dict(rows.fetchall())

    def prune_insights(self, before_us: int) -> int:
        with self.transaction() as connection:
            gone = connection.execute("DELETE FROM insights WHERE created_us <= ?", (before_us,)).rowcount
            connection.execute("DELETE FROM llm_usage WHERE day_us <= ?", (before_us,))
            return gone

    def _insights(self, where: str, values: tuple, limit: int) -> list[Insight]:
        rows = self.connection().execute(
            f"SELECT body FROM insights WHERE {where} ORDER BY created_us DESC, insight_id LIMIT ?",
            (*values, limit),
        )
        return [_decode(body) for (body,) in rows]


def _row(i: Insight) -> tuple:
    verdict = (i.feedback or {}).get("verdict")
    return (
        *(
            i.insight_id,
            i.alert_id,
            i.entity_type,
            i.entity_id,
            i.kind,
            i.severity,
            i.score,
            i.source,
            i.model,
        ),
        *(i.prompt_version, i.facts_digest, i.created_us, int(i.simulated), verdict, _encode(i)),
    )
