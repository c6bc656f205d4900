"""On the ingest path `kinesis` a repeat is carried again, because its first sender may have died in between: it counts once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from backend.domain.parsing import Parsed, parse
from backend.domain.times import DAY, MINUTE, iso
from tests.aws.emulator import Emulator, open_dynamo
from tests.builders import NOW

pytestmark = pytest.mark.aws


class Stream:
    """Keeps what it is given to carry."""

    def __init__(self) -> None:
        self.carried: list[Parsed] = []

    def send(self, entries: Sequence[Parsed], request_id: str | None) -> None:
        self.carried += entries


def call(received_us: int) -> Parsed:
    item = {
        "event_id": "call-1",
        "event_type": "ib_call_logged",
        "occurred_at": iso(NOW),
        "payload": {"call_id": "call-1", "student_id": "stu_1", "reason": "complaint"},
    }
    return parse(item, received_us, "test")


@pytest.mark.parametrize("later_us", [0, 10 * MINUTE, 3 * DAY])
def test_a_repeat_counts_once_however_late_it_comes(emulator: Emulator, later_us: int) -> None:
    store: Any = open_dynamo(emulator)
    store.carrier = stream = Stream()
    assert store.append([call(NOW)]) == ["accepted"]
    store.take_in([entry.event for entry in stream.carried], NOW)
    assert store.append([call(NOW + later_us)]) == ["duplicate"]
    assert len(stream.carried) == 2
    store.take_in([stream.carried[1].event], NOW + later_us)
    assert store.entities("student", ["stu_1"])[0]["ib_calls_7d"] == 1
    assert store.meta()["events_total"] == 1
    store.close()
