"""The estimate of costs: its units against what was measured, its arithmetic against hand-made bills, its promise."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from backend.runtime.cli import main as iops
from backend.services.cost import HOURS, MEASURED, UNITS, Bill, Load, changes, estimate, units_per_event
from backend.services.prices import DATED, PRICES, Price


def line(bill: Bill, service: str, what: str) -> float:
    (found,) = [each.usd for each in bill.lines if (each.service, each.what) == (service, what)]
    return found


def test_two_hundred_streams_cost_at_most_fifty_dollars() -> None:
    assert Load().streams == 200
    assert estimate(Load()).usd <= 50


def test_the_bill_is_the_sum_of_its_lines_and_of_its_services() -> None:
    bill = estimate(Load(kinesis=True, website=True, waf=True, vpc=True, watch=True, serving=True))
    assert bill.usd == pytest.approx(sum(each.usd for each in bill.lines))
    assert bill.usd == pytest.approx(sum(usd for _, usd in bill.services()))
    assert [usd for _, usd in bill.services()] == sorted((usd for _, usd in bill.services()), reverse=True)
    assert all(each.usd >= 0 for each in bill.lines)


def test_requests_are_paid_by_the_million() -> None:
    load = Load(events_per_s=10, per_request=5)
    assert line(estimate(load), "API Gateway", "requests of senders") == pytest.approx(
        10 * HOURS * 3600 / 5 / 1e6 * 3.5
    )


def test_writes_of_events_are_what_was_measured_times_the_price() -> None:
    load = Load(events_per_s=1_000)  # a hundred are folded at once
    assert load.batch == 100
    assert line(estimate(load), "DynamoDB", "writes of events") == pytest.approx(
        load.events * UNITS[-1][1] / 1e6 * 0.625
    )


def test_units_are_those_that_the_page_of_benchmarks_names() -> None:
    """With the same date, so that neither is changed without the other."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert re.search(rf"Printed on {MEASURED} by `dynamo`", text)
    for batch, write, read in UNITS:
        row = re.search(
            rf"\| (write|write and read) units an event in batches of {batch}\b[^|]*\|[^|]*\| (.+) \|", text
        )
        assert row, f"no row about batches of {batch}"
        known = row[2].split(" / ")[1].split(":")[0].split(" and ")
        assert float(known[0]) == write
        if len(known) == 2:
            assert float(known[1]) == read


def test_units_lie_between_what_was_measured() -> None:
    for batch, write, read in UNITS:
        assert units_per_event(batch) == pytest.approx((write, read))
    assert units_per_event(0.5) == units_per_event(1)
    assert units_per_event(1_000) == pytest.approx(units_per_event(100))
    steps = [units_per_event(batch)[0] for batch in (1, 2, 3, 5, 10, 50, 100)]
    assert steps == sorted(steps, reverse=True)


def test_a_sweep_never_writes_more_than_there_are_entities() -> None:
    few, many = Load(sweep_minutes=1), Load(sweep_minutes=1, events_per_s=5_000)
    writes = [line(estimate(load), "DynamoDB", "writes of sweeps") for load in (few, many)]
    assert writes[1] < HOURS * 60 * 250 * 3 / 1e6 * 0.625
    assert writes[0] < writes[1]


def test_what_is_free_costs_nothing_and_only_that() -> None:
    price = Price(0.10, "alarms", free=10)
    assert price.of(10) == 0
    assert price.of(12) == pytest.approx(0.20)


@pytest.mark.parametrize("field", ["kinesis", "website", "waf", "vpc", "watch", "serving"])
def test_every_costly_part_adds_to_the_bill(field: str) -> None:
    assert estimate(Load(**{field: True})).usd > estimate(Load()).usd + 1


def test_more_of_anything_never_costs_less() -> None:
    plain = estimate(Load()).usd
    more = {
        "events_per_s": 2.0,
        "streams": 400,
        "explain_share": 1.0,
        "viewers": 50,
        "alarms": 100,
        "retention_days": 400,
    }
    for field, value in more.items():
        assert estimate(Load(**{field: value})).usd > plain, field


def test_batches_sweeps_and_words_are_what_moves_it() -> None:
    usd = {says: estimate(load).usd for says, load in changes(Load())}
    assert usd["five events in a request"] < estimate(Load()).usd < usd["twice the events"]
    assert usd["a sweep every five minutes"] < estimate(Load()).usd
    assert all(load != Load() for _, load in changes(Load()))
    assert "Kinesis between" not in dict(changes(Load(kinesis=True)))


def test_assumptions_name_what_was_asked() -> None:
    text = " ".join(estimate(Load(streams=321, per_request=7, explain_share=0.5)).assumptions)
    for part in ("321 students", "7 events", "50 %", DATED):
        assert part in text


def test_prices_are_dated_and_positive() -> None:
    assert date.fromisoformat(DATED) <= date.today()  # noqa: DTZ011
    assert all(price.usd > 0 and price.per > 0 and price.free >= 0 for price in PRICES.values())


def test_the_command_prints_assumptions_first_then_the_month() -> None:
    printed = CliRunner().invoke(iops, ["cost", "--events-per-s", "8", "--with", "kinesis"])
    assert printed.exit_code == 0, printed.output
    assert printed.output.startswith("Assumptions\n")
    usd = estimate(Load(events_per_s=8, kinesis=True)).usd
    assert f"{usd:,.2f}" in printed.output
    assert "What moves it" in printed.output


def test_the_command_gives_every_line_as_json() -> None:
    printed = CliRunner().invoke(iops, ["cost", "--json"])
    bill = msgspec.convert(json.loads(printed.output), Bill)
    assert bill == estimate(Load())


def test_nonsense_is_refused_by_name() -> None:
    printed = CliRunner().invoke(iops, ["cost", "--explain-share", "2"])
    assert printed.exit_code == 2
    assert "--explain-share" in printed.output
