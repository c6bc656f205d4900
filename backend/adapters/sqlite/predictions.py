"""What models said of students and tutors, in SQLite: the newest of each, and the last of every hour for looking back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.sqlite.connections import Connections
from backend.domain.predictions import Scored, risk_of
from backend.domain.times import floor_hour

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Scored).decode
_SAVE = """INSERT OR REPLACE INTO predictions (entity_type, entity_id, at_us, model, risk, body) VALUES (?, ?, ?, ?, ?, ?)"""
_KEEP = """INSERT OR REPLACE INTO prediction_history (entity_type, entity_id, hour_us, at_us, body) VALUES (?, ?, ?, ?, ?)"""
# Scanned seldom: what changed is normally known from the feed.
_UNSCORED = """SELECT e.entity_type, e.entity_id FROM entities e LEFT JOIN predictions p USING (entity_type, entity_id)
  WHERE e.entity_type IN (SELECT value FROM json_each(?)) AND (p.at_us IS NULL OR p.at_us < e.updated_us OR p.at_us < ?)
  ORDER BY p.at_us, e.entity_id LIMIT ?"""
_NEWEST = "SELECT body FROM predictions WHERE entity_type = ? AND entity_id = ?"
_AS_OF = """SELECT body FROM prediction_history WHERE entity_type = ? AND entity_id = ? AND hour_us <= ? AND at_us <= ?
  ORDER BY hour_us DESC LIMIT 1"""
_ORPHANS = """DELETE FROM predictions WHERE NOT EXISTS (SELECT 1 FROM entities e
  WHERE e.entity_type = predictions.entity_type AND e.entity_id = predictions.entity_id)"""
_TOTALS = """SELECT entity_type, model, count(*), count(risk), coalesce(avg(risk), 0), coalesce(sum(risk >= 0.5), 0), min(at_us)
  FROM predictions GROUP BY entity_type, model ORDER BY 1, 2"""
_TOTAL_NAMES = ("entity_type", "model", "scored", "with_risk", "mean_risk", "high_risk", "oldest_us")


class SqlitePredictions(Connections):
    """Implements Predictions of services.scoring; mixed into SqliteStore."""

    def save_predictions(self, scored: Sequence[Scored], now_us: int) -> None:
        with self.transaction() as connection:
            for s in scored:
                key = (s.entity_type, s.entity_id)
                connection.execute(_SAVE, (*key, s.at_us, s.model, risk_of(s), _encode(s)))
                # Features are for the watch on drift, which looks at the newest alone.
                past = msgspec.structs.replace(s, features={})
                connection.execute(_KEEP, (*key, floor_hour(s.at_us), s.at_us, _encode(past)))
                connection.execute(
                    "INSERT INTO changes (at_us, kind, key) VALUES (?, 'prediction', ?)",
                    (now_us, "/".join(key)),
                )

    def scored_at(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        found = {}
        for key in keys:
            row = (
                self.connection()
                .execute("SELECT at_us FROM predictions WHERE entity_type = ? AND entity_id = ?", key)
                .fetchone()
            )
            if row is not None:
                found[key] = row[0]
        return found

    def unscored(self, kinds: Sequence[str], before_us: int, limit: int) -> list[tuple[str, str]]:
        wanted = msgspec.json.encode(list(kinds)).decode()
        return self.connection().execute(_UNSCORED, (wanted, before_us, limit)).fetchall()

    def predictions(self, kind: str, ids: Sequence[str], at_us: int | None = None) -> dict[str, Scored]:
        found = {}
        for entity_id in ids:
            row = self._prediction_row(kind, entity_id, at_us)
            if row is not None:
                found[entity_id] = _decode(row[0])
        return found

    def _prediction_row(self, kind: str, entity_id: str, at_us: int | None) -> tuple[bytes] | None:
        if at_us is None:
            return self.connection().execute(_NEWEST, (kind, entity_id)).fetchone()
        return self.connection().execute(_AS_OF, (kind, entity_id, floor_hour(at_us), at_us)).fetchone()

    def prediction_history(self, kind: str, entity_id: str, since_us: int, until_us: int) -> list[Scored]:
        rows = self.connection().execute(
            "SELECT body FROM prediction_history WHERE entity_type = ? AND entity_id = ? AND hour_us >= ? AND at_us <= ? "
            "ORDER BY hour_us",
            (kind, entity_id, floor_hour(since_us), until_us),
        )
        return [_decode(body) for (body,) in rows]

    def prediction_totals(self) -> list[dict[str, Any]]:
        rows = self.connection().execute(_TOTALS)
        return [dict(zip(_TOTAL_NAMES, row, strict=True)) for row in rows]

    def prediction_features(self, kind: str, since_us: int, limit: int) -> list[Mapping[str, float]]:
        rows = self.connection().execute(
            "SELECT body FROM predictions WHERE entity_type = ? AND at_us >= ? ORDER BY entity_id LIMIT ?",
            (kind, since_us, limit),
        )
        return [_decode(body).features for (body,) in rows]

    def prune_predictions(self, before_us: int) -> int:
        with self.transaction() as connection:
            # One scored at the very moment at which its demo data went would stay for ever.
            connection.execute(_ORPHANS)
            old = "DELETE FROM prediction_history WHERE at_us < ?"
            return connection.execute(old, (before_us,)).rowcount
