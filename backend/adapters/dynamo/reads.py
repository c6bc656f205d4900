"""Everything the read side asks of DynamoDB. Look-ups only; meaning is in the services."""

from __future__ import annotations

from backend.adapters.dynamo.reads_alerts import AlertReads
from backend.adapters.dynamo.reads_entities import EntityReads
from backend.adapters.dynamo.reads_log import LogReads
from backend.adapters.dynamo.reads_market import MarketReads
from backend.adapters.dynamo.reads_pages import PageReads


class DynamoReads(EntityReads, LogReads, MarketReads, AlertReads, PageReads):
    """The port `Reads` on DynamoDB."""
