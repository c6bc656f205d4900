"""Keys and items of the DynamoDB table, without any service."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.dynamo import keys
from backend.adapters.dynamo.alert_items import HeldAlert, alert_item, audit_items, held_alert
from backend.adapters.dynamo.arrivals import events_of
from backend.adapters.dynamo.entities import entity_item, held_from, row_from, shown
from backend.adapters.dynamo.items import event_from, event_row, keyed, pack, unpack
from backend.adapters.dynamo.table import Moved, translated
from backend.domain.alerts import Command, apply, raise_alert
from backend.domain.errors import Unavailable
from backend.domain.profiles import Profile
from backend.domain.rules import Assessment, evaluate
from backend.domain.times import DAY, HOUR
from backend.domain.windows import delta_of
from tests.builders import NOW, call, session

TEXT = st.text(min_size=1, max_size=256)


@given(st.integers(0, 4 * NOW), st.integers(0, 4 * NOW), TEXT)
def test_sort_keys_stand_in_order_of_time(first: int, second: int, name: str) -> None:
    assert (first < second) == (keys.time_sort(first) < keys.time_sort(second))
    assert (
        keys.time_sort(first) <= keys.time_sort(first, name) < keys.time_sort(first) + "\U0010ffff\U0010ffff"
    )
    assert (first // HOUR < second // HOUR) == (keys.hour_sort(first) < keys.hour_sort(second))


@given(st.text(min_size=1, max_size=512))
def test_keys_stay_within_what_dynamodb_allows(name: str) -> None:
    for partition, sort in (
        keys.event_key(name),
        keys.due_keys("student", name, NOW),
        keys.document_key(name),
        ("x", keys.time_sort(NOW, name)),
    ):
        assert len(partition.encode()) <= 2_048
        assert len(sort.encode()) <= 1_024


def test_long_names_that_differ_at_their_end_keep_keys_of_their_own() -> None:
    assert keys.bounded("x" * 2_000 + "a") != keys.bounded("x" * 2_000 + "b")


@pytest.mark.parametrize("kind", keys.KINDS)
def test_every_entity_stands_in_a_partition_that_lists_look_into(kind: str) -> None:
    found = {keys.entity_key(kind, f"id {i}")[0] for i in range(500)}
    assert found == set(keys.entity_partitions(kind))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(PLAIN)
def test_what_is_packed_comes_back_exactly_floats_included(value: object) -> None:
    assert unpack(pack(value)) == value


def test_an_event_comes_back_from_its_item_and_from_the_stream() -> None:
    entry = call("c1", NOW, reason="complaint", sentiment_score=-0.1)
    assert event_from(event_row(entry)) == entry.event
    image = keyed(keys.event_key("c1"), b=pack(event_row(entry)), d={"B": entry.digest})
    records = [
        {"eventName": "INSERT", "dynamodb": {"NewImage": image}},
        {"eventName": "REMOVE", "dynamodb": {"OldImage": image}},
        {"eventName": "MODIFY", "dynamodb": {"NewImage": image}},
        {"eventName": "INSERT", "dynamodb": {"NewImage": keyed(("META", "META"), b=pack(1))}},
    ]
    assert events_of(records) == [entry.event]


def test_an_entity_comes_back_from_its_item_with_the_next_version() -> None:
    profile = Profile.new("student", "stu_1")
    event = session("s1", NOW, rating=4).event
    profile.fold(event, delta_of(event), NOW)
    item = entity_item(Assessment(profile, NOW), held_from(None), 7, {"rule": "al_1"}, NOW)
    held = held_from(item)
    assert (held.version, held.step, held.as_of_us, held.standing) == (1, 7, NOW, {"rule": "al_1"})
    assert held.profile(("student", "stu_1")) == profile
    row = row_from(item)
    assert (row["entity_id"], row["sessions_7d"], row["first_tutor"]) == ("stu_1", 1, "tut_1")
    assert "first_tutor" not in shown(row)
    assert item["DS"]["S"] > keys.time_sort(NOW)


def test_an_alert_keeps_its_trail_and_its_chain_of_audit() -> None:
    profile = Profile.new("student", "stu_1")
    for i in range(3):
        event = call(f"c{i}", NOW - i).event
        profile.fold(event, delta_of(event), NOW)
    signal = next(v.signal for v in evaluate(Assessment(profile, NOW)) if v.signal is not None)
    opened = raise_alert(signal, "al_1", NOW)
    acked = apply(opened.alert, Command(action="ack", actor="ann"), NOW + DAY)
    assert opened.entry is not None
    assert acked.entry is not None
    held = HeldAlert(opened.alert).audited(opened.alert, [opened.entry])
    after = held.audited(acked.alert, [acked.entry])
    assert held_alert(alert_item(after, 3)).trail == [
        (NOW, "open/warning"),
        (NOW + DAY, "acknowledged/warning/ann"),
    ]
    noted = apply(acked.alert, Command(action="note", actor="ann", note="called"), NOW + DAY + 1)
    assert noted.entry is not None
    last = after.audited(noted.alert, [noted.entry])
    rows = audit_items(None, [opened.entry, acked.entry, noted.entry])
    assert [row["SK"]["S"] for row in rows] == ["AUDIT#00000003"]
    assert rows[0]["d"]["B"] == last.digest == audit_items(after, [noted.entry])[0]["d"]["B"]
    assert held_alert(alert_item(last, 3)).early == [opened.entry, acked.entry]
    assert audit_items(None, [opened.entry]) == audit_items(held, [acked.entry]) == []


def _error(code: str, status: int = 400, **more: object) -> ClientError:
    answer = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, "PutItem")  # type: ignore[arg-type]  # only what is looked at


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_error("ConditionalCheckFailedException", Item={"v": {"N": "1"}}), Moved),
        (
            _error(
                "TransactionCanceledException",
                CancellationReasons=[{"Code": "None"}, {"Code": "ConditionalCheckFailed"}],
            ),
            Moved,
        ),
        (_error("ThrottlingException"), Unavailable),
        (_error("RequestLimitExceeded"), Unavailable),
        (_error("InternalServerError", 500), Unavailable),
        (_error("ValidationException"), ClientError),
    ],
)
def test_failures_are_called_what_the_product_calls_them(error: ClientError, kind: type[Exception]) -> None:
    assert type(translated(error)) is kind
