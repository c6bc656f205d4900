"""The store on AWS: everything that services need, in two DynamoDB tables."""

from __future__ import annotations

from typing import Any

import msgspec

from backend.adapters.dynamo.forecasts import DynamoForecasts
from backend.adapters.dynamo.insights import DynamoInsights
from backend.adapters.dynamo.items import keyed, number, text, unpack
from backend.adapters.dynamo.judging import Rulebook
from backend.adapters.dynamo.keys import change_key, document_key
from backend.adapters.dynamo.log import Carrier, Lifetimes
from backend.adapters.dynamo.log_index import LogIndex
from backend.adapters.dynamo.pairs import DynamoPairs
from backend.adapters.dynamo.predictions import DynamoPredictions
from backend.adapters.dynamo.reads import DynamoReads
from backend.adapters.dynamo.rejects import DynamoRejects
from backend.adapters.dynamo.series import Detectors
from backend.adapters.dynamo.snapshots import Snapshots
from backend.adapters.dynamo.state import DynamoState, Source
from backend.adapters.dynamo.steps import CHANGES_IN_ITEM, Steps, require_progress
from backend.adapters.dynamo.table import Moved, Table
from backend.adapters.dynamo.watch import DynamoWatch
from backend.domain.limits import DOCUMENT as LIMITS
from backend.ports import Change


class DynamoStore(
    DynamoState,
    DynamoRejects,
    DynamoWatch,
    DynamoForecasts,
    DynamoInsights,
    DynamoPairs,
    DynamoPredictions,
    DynamoReads,
):
    """Implements Store, Processor, Insights and Reads of backend.ports, Predictions of services.scoring, Pairs of services.trials; safe to share between threads.

    `table` holds the state, `events` the accepted events. `source` delivers these to `fold`; a Lambda that is given them
    calls `take_in` instead and needs none. `carrier` takes them elsewhere than into the table's stream.
    """

    def __init__(
        self,
        table: Table,
        events: Table,
        *,
        source: Source | None = None,
        carrier: Carrier | None = None,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self.table = table
        self.events = events
        self.lifetimes = lifetimes or Lifetimes()
        self.steps = Steps(table, self.lifetimes)
        self.log_index = LogIndex(table, self.steps)
        self.snapshots = Snapshots(table, self.steps)
        self.source = source
        self.carrier = carrier
        self.detectors = Detectors()
        self.rulebook = Rulebook()

    def changes(self, after: int, limit: int = 500) -> list[Change]:
        """The feed's items are numbered without gaps; a change's number is its item's and its place in it."""
        head = self.steps.meta().feed
        found: list[Change] = []
        at = max(1, after // CHANGES_IN_ITEM)
        while at <= head and len(found) < limit:
            partition, first = change_key(at)
            for item in self.table.query(partition, first, change_key(head)[1]):
                found += [change for change in changes_from(item) if change.seq > after]
                if len(found) >= limit:
                    break
            at = (at // 1000 + 1) * 1000
        return found[:limit]

    def last_change(self) -> int:
        feed = self.steps.meta().feed
        return feed * CHANGES_IN_ITEM + CHANGES_IN_ITEM - 1 if feed else 0

    def document(self, key: str) -> Any | None:
        item = self.table.get(document_key(key))
        return None if item is None else msgspec.json.decode(item["j"]["S"])

    def put_document(self, key: str, value: Any, at_us: int) -> None:
        item = keyed(document_key(key), j=text(msgspec.json.encode(value).decode()), u=number(at_us))
        attempt = 0
        while True:
            change = (key.partition(".")[0], key)
            actions = [
                self.table.put_action(item),
                *self.steps.feed_actions(self.steps.meta().feed, at_us, [change], limits=key == LIMITS),
            ]
            try:
                self.table.transact(actions)
                return
            except Moved:
                attempt += 1
                require_progress(attempt)

    def close(self) -> None:
        self.table.close()
        self.events.close()


def changes_from(item: dict[str, Any]) -> list[Change]:
    """The last change of an item has its highest number, so that the head of the feed is known without reading it."""
    rows = unpack(item["b"])
    first = int(item["SK"]["S"]) * CHANGES_IN_ITEM + CHANGES_IN_ITEM - len(rows)
    return [Change(first + i, *row) for i, row in enumerate(rows)]
