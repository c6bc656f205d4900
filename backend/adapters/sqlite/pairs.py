"""What two models say of the same entities while one is tried beside the other, in SQLite: one row an entity."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backend.adapters.sqlite.connections import Connections
from backend.domain.trials import Pair

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Pair).decode
_SAVE = "INSERT OR REPLACE INTO pairs (entity_type, entity_id, live, trial, due_us, body) VALUES (?, ?, ?, ?, ?, ?)"
_OTHERS = """DELETE FROM pairs WHERE json_array(entity_type, live, trial) NOT IN (SELECT value FROM json_each(?))
  OR NOT EXISTS (SELECT 1 FROM entities e WHERE e.entity_type = pairs.entity_type AND e.entity_id = pairs.entity_id)"""


class SqlitePairs(Connections):
    """Implements Pairs of services.trials; mixed into SqliteStore."""

    def save_pairs(self, pairs: Sequence[Pair]) -> None:
        rows = [(*p.key, p.live, p.trial, p.due_us or None, _encode(p)) for p in pairs]
        with self.transaction() as connection:
            connection.executemany(_SAVE, rows)

    def pairs_of(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Pair]:
        one = "SELECT body FROM pairs WHERE entity_type = ? AND entity_id = ?"
        found = {key: self.connection().execute(one, key).fetchone() for key in keys}
        return {key: _decode(row[0]) for key, row in found.items() if row is not None}

    def pairs(self, kind: str) -> list[Pair]:
        rows = self.connection().execute(
            "SELECT body FROM pairs WHERE entity_type = ? ORDER BY entity_id", (kind,)
        )
        return [_decode(body) for (body,) in rows]

    def pairs_due(self, now_us: int, limit: int) -> list[Pair]:
        rows = self.connection().execute(
            "SELECT body FROM pairs WHERE due_us <= ? ORDER BY due_us, entity_id LIMIT ?", (now_us, limit)
        )
        return [_decode(body) for (body,) in rows]

    def keep_pairs(self, trials: Sequence[tuple[str, str, str]]) -> int:
        kept = msgspec.json.encode([msgspec.json.encode(list(trial)).decode() for trial in trials]).decode()
        with self.transaction() as connection:
            return connection.execute(_OTHERS, (kept,)).rowcount
