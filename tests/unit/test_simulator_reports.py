"""The load report and the scripted demonstration, against products of known manners."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any

import pytest

from simulator import truth
from simulator.load_report import TimedTransport, percentile, report
from simulator.population import build
from simulator.scenarios import SCENARIOS
from simulator.selfcheck import entities
from simulator.sender import Answer
from simulator.walkthrough import SCRIPT, SEED, walk


def counts(sent: int, accepted: int, duplicates: int = 0) -> dict[str, int]:
    return {"sent": sent, "accepted": accepted, "duplicates": duplicates, "errors": 0}


@pytest.mark.parametrize(
    ("seconds", "counted", "passed"),
    [
        ([0.01] * 100, counts(100, 95), True),
        ([0.01] * 100, counts(100, 94), False),
        ([0.01] * 100, counts(100, 90, 5), True),  # known already is taken too
        ([0.01] * 98 + [2.0] * 2, counts(100, 100), False),
        ([0.01] * 99 + [2.0], counts(100, 100), True),  # one in a hundred may be slow
        ([], counts(0, 0), False),
    ],
)
def test_the_verdict_is_about_the_share_taken_and_the_slowest_hundredth(
    seconds: list[float], counted: dict[str, int], passed: bool
) -> None:
    found = report(seconds, counted)
    assert found.passed == passed
    assert found.lines[-1].startswith("verdict: passed" if passed else "verdict: failed")


@pytest.mark.parametrize(("part", "expected"), [(50, 5), (95, 10), (99, 10), (10, 1)])
def test_percentiles_are_values_that_occurred(part: int, expected: int) -> None:
    assert percentile([7, 3, 1, 2, 5, 4, 6, 8, 10, 9], part) == expected


def test_only_answered_posts_are_timed() -> None:
    class Line:
        def __init__(self) -> None:
            self.posts = 0

        def post(self, body: bytes) -> Answer:
            self.posts += 1
            if self.posts == 1:
                raise http.client.HTTPException("gone")
            return Answer(202, None, b"{}")

        def close(self) -> None: ...

    clock = iter([0.0, 1.0, 1.25])
    timed = TimedTransport(Line(), lambda: next(clock))
    with pytest.raises(http.client.HTTPException):
        timed.post(b"")
    timed.post(b"")
    assert timed.seconds == [0.25]


class Product:
    """An installation whose simulator counts on at every look; it notices what it is told to."""

    def __init__(self, notices: bool) -> None:
        self.notices = notices
        self.orders: list[str] = []
        self.sent = 0

    def call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        if body is not None:
            self.orders.append(str(body["scenario"]))
            return {}
        name = self.orders[-1]
        if path == "/v1/simulator":
            self.sent += 100
            refused = self.sent if (name == "bad_data") == self.notices else 0
            return {"actual": {"sent": self.sent, "rejected": refused, "duplicates": 0}}
        struck = truth.struck(name, build(SEED))
        kinds = {check.alert_type for check in SCENARIOS[name].checks}
        items = [{"alert_type": kind, "entity_id": who} for kind in kinds for who in entities(kind, struck)]
        return {"items": items if self.notices else []}


@pytest.mark.parametrize("notices", [True, False])
def test_the_demonstration_passes_only_when_the_product_notices_and_ends_calm(notices: bool) -> None:
    product, said = Product(notices), []
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    passed = walk(product.call, said.append, seconds=5, monotonic=lambda: now[0], sleep=sleep)
    assert passed == notices
    assert product.orders == [*SCRIPT, "normal"]
    assert any("[pass]" in line for line in said) == notices
    assert any("[FAIL]" in line for line in said) != notices
    assert now[0] <= 5 * (len(SCRIPT) + 1)


def test_an_unknown_scenario_is_refused_before_anything_is_ordered() -> None:
    product = Product(True)
    with pytest.raises(ValueError, match="nonsense"):
        walk(product.call, print, names=["nonsense"])
    assert product.orders == []
