"""A backup taken while events pour in is one moment, and the product starts from it with everything in it."""

from __future__ import annotations

import threading
from pathlib import Path

import click
import pytest

from backend.runtime.backup import copy
from tests.journeys.conftest import eventually, start
from tests.journeys.test_api_read import history


def test_a_copy_under_load_has_events_alerts_audit_and_keys(tmp_path: Path) -> None:
    running, stop = start(tmp_path / "data")
    assert running.post(history()).json()["accepted"] == 17
    running.settle()
    (alert,) = eventually(
        lambda: [
            a
            for a in running.get("/v1/alerts").json()["items"]
            if a["alert_type"] == "high_ib_call_frequency"
        ]
    )
    noted = running.command(f"/v1/alerts/{alert['alert_id']}/ack", {"note": "calling now"})
    assert noted.status == 200
    done = threading.Event()

    def pour() -> None:
        n = 0
        while not done.is_set():
            n += 1
            call = {"call_id": f"pour-{n}", "student_id": f"stu_{n}", "reason": "complaint"}
            running.post({"event_type": "ib_call_logged", "payload": call})

    sender = threading.Thread(target=pour)
    sender.start()
    try:
        size = copy(running.settings, tmp_path / "copy")
    finally:
        done.set()
        sender.join()
    stop()
    assert size > 0
    assert (tmp_path / "copy" / "iops.db").stat().st_mode & 0o077 == 0
    restored, stop = start(tmp_path / "copy")
    try:
        restored.settle()
        found = restored.get(f"/v1/alerts/{alert['alert_id']}").json()
        assert found["alert"]["status"] == "acknowledged"
        assert "calling now" in str(found["audit"])
        assert restored.get("/v1/entities/student/maya").json()["metrics"]["ib_calls_14d"] >= 3
        assert restored.post(history()).json()["duplicates"] == 17  # the log knows them
    finally:
        stop()


def test_a_folder_that_exists_is_never_written_to(tmp_path: Path) -> None:
    running, stop = start(tmp_path / "data")
    try:
        (tmp_path / "taken").mkdir()
        with pytest.raises(click.ClickException, match="exists"):
            copy(running.settings, tmp_path / "taken")
        assert list((tmp_path / "taken").iterdir()) == []
    finally:
        stop()
