"""Connections are listed without a scan, a ticket is spent once, by one of any number who try at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.adapters.dynamo.connections import LIFE_US, TICKET_US, DynamoConnections, Person
from backend.adapters.dynamo.keys import connections_table_definition
from backend.adapters.dynamo.table import Table
from backend.domain.times import SECOND
from tests.aws.emulator import Emulator
from tests.builders import NOW
from tests.contract.test_dynamo_faults import Mortal

pytestmark = pytest.mark.aws
ANN = Person("ann", "operator", "at_1")


@pytest.fixture
def connections(emulator: Emulator) -> Iterator[DynamoConnections]:
    client = emulator.client("dynamodb")
    client.create_table(**connections_table_definition("connections"))
    table = Table(Mortal(client), "connections")
    yield DynamoConnections(table)
    table.close()
    client.delete_table(TableName="connections")


def test_whoever_is_connected_is_listed_until_they_leave_or_their_time_is_over(
    connections: DynamoConnections,
) -> None:
    ids = [f"L0SM9cOFvHcCIhw{i}=" for i in range(20)]
    for connection_id in ids:
        connections.add(connection_id, ANN, NOW)
    assert connections.open(NOW) == dict.fromkeys(ids, ANN)
    connections.remove(ids[0])
    connections.remove(ids[0])
    assert set(connections.open(NOW + LIFE_US - SECOND)) == set(ids[1:])
    assert connections.open(NOW + LIFE_US) == {}


def test_a_ticket_lets_one_in_and_only_for_a_minute(connections: DynamoConnections) -> None:
    connections.issue("first", ANN, NOW)
    connections.issue("late", ANN, NOW)
    spent = connections.table.each(lambda _: connections.spend("first", NOW + SECOND), range(8))
    assert sorted(spent, key=repr) == [*[None] * 7, ANN]
    assert connections.spend("late", NOW + TICKET_US) is None
    assert connections.spend("never issued", NOW) is None
