"""Everything the read side asks of SQLite, on this thread's read-only connection. SQL only; meaning is in the services."""

from __future__ import annotations

from backend.adapters.sqlite.reads_alerts import AlertReads
from backend.adapters.sqlite.reads_entities import EntityReads
from backend.adapters.sqlite.reads_hours import HourReads
from backend.adapters.sqlite.reads_log import LogReads
from backend.adapters.sqlite.reads_pages import PageReads


class SqliteReads(EntityReads, LogReads, HourReads, PageReads, AlertReads):
    """The port `Reads` on SQLite."""
