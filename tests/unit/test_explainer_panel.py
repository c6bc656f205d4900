"""The meters of explanations on the Data page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dashboard import explainer_panel
from tests.unit.test_pages_data import a_view, words


class Kept:
    """A store with one day's usage."""

    def __init__(self, usage: dict[str, int], verdicts: tuple[int, int] = (0, 0)) -> None:
        self._usage, self._verdicts = usage, verdicts

    def insights_judged(self, _since_us: int) -> list[Any]:
        said = ["accepted"] * self._verdicts[0] + ["dismissed"] * self._verdicts[1]
        return [SimpleNamespace(source="rules", feedback={"verdict": verdict}) for verdict in said]

    def llm_usage(self, _day_us: int) -> dict[str, int]:
        return self._usage

    def feedback_counts(self, _since_us: int) -> dict[str, int]:
        return {"accepted": self._verdicts[0], "dismissed": self._verdicts[1]}


@pytest.mark.parametrize(
    ("usage", "title"),
    [
        ({"explained": 5}, "5 explanations today, all by rules"),
        ({"explained": 1}, "1 explanation today, all by rules"),
        ({"explained": 8, "worded": 6, "calls": 7}, "8 explanations today, 25 % of them by rules"),
        ({"explained": 4, "worded": 4, "cached": 4}, "4 explanations today, 0 % of them by rules"),
    ],
)
def test_the_title_says_who_worded_them(usage, title):
    assert title in words(explainer_panel.panel(Kept(usage), a_view()))


def test_cost_and_usefulness_are_told():
    usage = {"explained": 3, "worded": 2, "calls": 3, "failures": 1, "micro_usd": 1_000_000}
    told = words(explainer_panel.panel(Kept(usage, (3, 1)), a_view()))
    assert "3, 1" in told
    assert "Rules 3 of 4" in told
    assert "$1.0000" in told


def test_a_day_without_any_says_so():
    assert "Nothing explained today" in words(explainer_panel.panel(Kept({}), a_view()))
