"""The part of the store that takes events in, alone: a function that does no more starts much faster without the rest."""

from __future__ import annotations

from backend.adapters.dynamo.log import Carrier, Lifetimes
from backend.adapters.dynamo.rejects import DynamoRejects
from backend.adapters.dynamo.table import Table


class DynamoFrontDoor(DynamoRejects):
    """Implements Log of backend.ports over the same two tables as DynamoStore."""

    def __init__(
        self, table: Table, events: Table, carrier: Carrier | None = None, lifetimes: Lifetimes | None = None
    ) -> None:
        self.table, self.events, self.carrier = table, events, carrier
        self.lifetimes = lifetimes or Lifetimes()
