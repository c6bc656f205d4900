"""A new model gets a share of the students from the page of models, scores them, and is taken back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from backend.domain.times import DAY, iso
from backend.runtime.local_models import registry
from tests.browser.conftest import Product, start
from tests.journeys.conftest import eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def with_candidate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Product, str]]:
    """A product without demo data, with a second version of the student model."""
    folder: Path = tmp_path_factory.mktemp("models") / "data"
    shelf = registry(folder)
    active = shelf.load("student", shelf.use("student")["active"])
    candidate = type(active)(**{**vars(active), "version": active.version + "b"})
    shelf.add(candidate)
    running, stop = start(folder, "--no-demo")
    yield running, candidate.version
    stop()


def sessions(days: range) -> list[dict]:
    """Twelve students who all came every third day."""
    now_us = time.time_ns() // 1_000
    return [
        {
            "event_id": f"m{student}-{d}",
            "event_type": "session_completed",
            "occurred_at": iso(now_us - d * DAY),
            "payload": {
                "session_id": f"m{student}-{d}",
                "student_id": f"model_{student}",
                "tutor_id": "t",
                "rating": 5,
            },
        }
        for student in range(12)
        for d in days
    ]


def test_a_canary_is_given_a_share_scores_it_and_is_taken_back(with_candidate, open_user):
    product, candidate = with_candidate
    product.api("POST", "/v1/events", sessions(range(1, 60, 3)))
    user = open_user(product)
    page = user.go("/models")
    row = page.locator("tr", has_text=candidate)
    row.get_by_text("Give a share", exact=True).first.click()
    row.get_by_label("Share, 1 to 99 %").fill("50")
    row.get_by_role("button", name="Give a share").click()
    expect(page.get_by_text("A new model scores 50 % of students")).to_be_visible()
    expect(row).to_contain_text("Canary, 50 %")

    def shares() -> tuple[int, int]:
        found = {v["version"]: v["scored"] for v in product.api("GET", "/v1/models")["student"]["versions"]}
        return found[candidate], sum(found.values())

    eventually(lambda: 0 < shares()[0] < shares()[1] == 12, 120)
    scored = product.api("GET", "/v1/entities/student/model_1")["predictions"]["churn_30d"]
    assert 0 <= scored["value"] <= 1
    page = user.go("/students/model_1")
    expect(page.get_by_text("as the model expects")).to_be_visible()
    page = user.go("/models")
    page.locator("summary", has_text="Roll back").click()
    page.locator("details[open] button", has_text="Roll back").click()
    expect(page.get_by_text("A new model scores")).to_have_count(0)
    assert product.api("GET", "/v1/models")["student"]["canary"] is None
