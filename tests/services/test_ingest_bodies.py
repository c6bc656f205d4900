"""Bodies to items, items to verdicts: limits, forms, and answers, without a server."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.errors import Malformed
from backend.services import bodies
from backend.services.ingest import MAX_REJECT_BYTES, answer, judge, single_answer
from backend.services.metrics import samples_of
from backend.services.rate_limit import EVENT_BURST, REQUEST_BURST, Limiter

NOW_US = 1_790_000_000_000_000
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def call(**changes: Any) -> dict[str, Any]:
    return {"event_type": "ib_call_logged", "payload": {"student_id": "s", "call_id": "c"}} | changes


def posted(value: Any, kind: str = "application/json") -> bodies.Posted:
    return bodies.items_of(json.dumps(value).encode(), kind)


@pytest.mark.parametrize(
    ("value", "kind", "count", "single"),
    [
        (call(), "application/json", 1, True),
        ([call(), call()], "application/json", 2, False),
        ({"events": [call()]}, "application/json; charset=UTF-8", 1, False),
        ([], "application/cloudevents-batch+json", 0, False),
        ({"events": "not a list"}, "application/json", 1, True),
    ],
)
def test_what_a_body_holds(value: Any, kind: str, count: int, single: bool) -> None:
    found = posted(value, kind)
    assert (len(found.items), found.single) == (count, single)


@pytest.mark.parametrize(("depth", "fits"), [(32, True), (33, False), (400, False), (200_000, False)])
def test_nesting_is_limited(depth: int, fits: bool) -> None:
    body = b"[" * depth + b"]" * depth
    if fits:
        assert len(bodies.items_of(body, "application/json").items) == 1
    else:
        with pytest.raises(Malformed) as caught:
            bodies.items_of(body, "application/json")
        assert caught.value.code == "depth"


@pytest.mark.parametrize(("count", "fits"), [(1_000, True), (1_001, False)])
def test_the_number_of_items_is_limited(count: int, fits: bool) -> None:
    if fits:
        assert len(posted([1] * count).items) == count
    else:
        with pytest.raises(bodies.TooLarge):
            posted([1] * count)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_expanding_stops_at_the_limit(encoding: str, pack: Any) -> None:
    assert bodies.expand(pack(b"x" * 1_000), encoding) == b"x" * 1_000
    if encoding != "identity":
        with pytest.raises(bodies.TooLarge):
            bodies.expand(pack(b"x" * (bodies.MAX_BODY + 1)), encoding)


@given(st.binary(max_size=200), st.sampled_from(["", "gzip", "deflate", "br"]))
def test_any_bytes_are_items_or_a_decided_refusal(body: bytes, encoding: str) -> None:
    with contextlib.suppress(Malformed):
        judge(bodies.items_of(bodies.expand(body, encoding), "application/json"), NOW_US, "k")


@given(JSON_VALUES, st.booleans())
def test_any_json_gets_one_verdict_per_item(value: Any, metrics: bool) -> None:
    found = judge(bodies.Posted([value, call()], False), NOW_US, "k", metrics=metrics)
    assert {refusal.index for refusal in found.refusals} | set(found.places) == {0, 1}
    assert len(found.refusals) == len(found.rejects)


@given(st.lists(st.sampled_from(["good", "bad"]), min_size=1, max_size=100))
def test_verdicts_stand_in_the_order_of_the_items(kinds: list[str]) -> None:
    items = [call(event_id=f"e{n}") if kind == "good" else 7 for n, kind in enumerate(kinds)]
    found = judge(bodies.Posted(items, False), NOW_US, "k")
    result = answer(found, ["accepted"] * len(found.entries))
    if "good" not in kinds:
        assert result.status == 422
        return
    rows = json.loads(result.body)["results"]
    assert [row["status"] for row in rows] == ["accepted" if kind == "good" else "rejected" for kind in kinds]
    assert [row["index"] for row in rows] == list(range(len(kinds)))


@pytest.mark.parametrize("event_id", ["plain", 'quo"te', "back\\slash", "ünïcode 😀", "\u200b"])
@pytest.mark.parametrize("verdict", ["accepted", "duplicate"])
def test_the_short_answer_is_the_same_document(event_id: str, verdict: str) -> None:
    found = judge(bodies.Posted([call(event_id=event_id)], False), NOW_US, "k")
    assert json.loads(single_answer(event_id, verdict)) == json.loads(answer(found, [verdict]).body)


def test_an_item_that_the_parser_did_not_foresee_is_refused_not_failed() -> None:
    found = judge(
        bodies.Posted(
            [{"event_type": "ib_call_logged", "specversion": "1.0", "id": "a", "data": {"student_id": "s"}}],
            True,
        ),
        NOW_US,
        "k",
    )
    assert found.entries or found.refusals


def test_rejects_are_capped_and_free_of_control_characters() -> None:
    found = judge(
        bodies.Posted([{"event_type": "x\x1b[2J", "text": "a" * 100_000 + "\u202e"}], True), NOW_US, "k"
    )
    _, reason, event_type, source, errors, body = found.rejects[0]
    assert (reason, source) == ("unknown", "k")
    assert len(body) <= MAX_REJECT_BYTES
    assert "\x1b" not in (event_type or "") + body + errors
    assert found.tallies == {"reject:unknown": 1}


@pytest.mark.parametrize(
    ("item", "series"),
    [
        ({"hostname": "h", "cpuUsage": 1}, ["cpu_usage"]),
        (
            {"hostname": "h", "cpuUsage": 1, "diskIO": 2, "networkIO": 3, "memoryUsage": 0},
            ["cpu_usage", "memory_usage", "disk_io", "network_io"],
        ),
        ({"source": "s", "name": "n", "value": 1}, ["n"]),
    ],
)
def test_samples_become_series(item: dict[str, Any], series: list[str]) -> None:
    assert [event["payload"]["name"] for event in samples_of(item)] == series


def test_a_key_has_a_burst_and_a_rate() -> None:
    limiter = Limiter()
    waits = [limiter.request("k", 100.0) for _ in range(int(REQUEST_BURST) + 1)]
    assert (set(waits[:-1]), waits[-1]) == ({0}, 1)
    assert limiter.request("other", 100.0) == 0
    assert [limiter.request("k", 100.5) for _ in range(101)] == [0] * 100 + [1]
    assert limiter.events("k", int(EVENT_BURST), 100.5) == 0
    assert limiter.events("k", 5_000, 100.5) == 1
    assert limiter.events("k", 5_000, 101.5) == 0
