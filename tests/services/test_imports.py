"""`iops import`: rows become events, a killed import goes on where it stood, refused rows say line and reason."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from backend.domain.errors import Rejected
from backend.services import imports
from backend.services.mapping import load_mapping
from tests.builders import NOW, open_store

MAPPING = """
source = "school"
sorted_by = "day"

[lookup.students]
file = "students.csv"
key = "id"
by = "pupil"

[[event]]
type = "session_completed"
when = { kind = "visit:*" }
group = ["day", "pupil"]
sum = ["minutes"]
event_id = "visit-{pupil}-{day}"
time = { column = "day", format = "%d.%m.%Y", zone = "Europe/Berlin", at = "16:00" }
[event.fields]
session_id = { template = "{pupil}-{day}" }
student_id = { column = "pupil" }
tutor_id = { constant = "team" }
region = { lookup = "students.region" }
actual_duration_minutes = { column = "minutes", type = "number", maximum = 240 }

[[event]]
type = "ib_call_logged"
when = { kind = "call" }
event_id = "call-{pupil}-{day}-{occurrence}"
time = { column = "day", format = "%d.%m.%Y" }
[event.fields]
student_id = { column = "pupil" }
reason = { column = "topic", values = { money = "billing_question", tech = "technical_problem" } }
duration_seconds = { column = "minutes", type = "number", factor = 60 }
"""
ROWS = """day,pupil,kind,minutes,topic
01.05.2026,p1,visit:a,10,
01.05.2026,p2,call,3,money
01.05.2026,p1,visit:b,15,
01.05.2026,p2,call,3,money
01.05.2026,p2,call,nonsense,money
02.05.2026,p1,visit:a,500,
02.05.2026,p1,party,1,
02.05.2026,p2,call,1,weather
03.05.2026,p2,visit:a,1,
"""


@pytest.fixture
def school(tmp_path: Path) -> Path:
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "students.csv").write_text("id,region\np1,west\np2,east\n")
    return tmp_path


def run(store, folder: Path, name: str = "rows.csv", progress=lambda report, share: None):
    return imports.run(store, folder / name, folder / "map.toml", clock=lambda: NOW, progress=progress)


def logged(store) -> list[tuple]:
    query = "SELECT event_id, event_type, student_id, region, source, occurred_us, body FROM events ORDER BY event_id"
    return store.connection().execute(query).fetchall()


def test_rows_become_events_grouped_scaled_looked_up_and_mapped(school):
    store = open_store(school)
    report = run(store, school)
    events = {row[0]: row for row in logged(store)}
    assert sorted(events) == [
        "call-p2-01.05.2026-1",
        "call-p2-01.05.2026-2",
        "visit-p1-01.05.2026",
        "visit-p1-02.05.2026",
        "visit-p2-03.05.2026",
    ]
    first = events["visit-p1-01.05.2026"]
    assert first[1:5] == ("session_completed", "p1", "west", "school")
    assert first[5] == 1_777_644_000_000_000  # 16:00 in Berlin in summer is 14:00 UTC
    assert b'"actual_duration_minutes":25.0' in first[6]
    assert b'"actual_duration_minutes":240.0' in events["visit-p1-02.05.2026"][6]
    assert b'"duration_seconds":180.0' in events["call-p2-01.05.2026-1"][6]
    assert b'"reason":"billing_question"' in events["call-p2-01.05.2026-1"][6]
    assert (report.rows, report.accepted, report.refused, report.duplicates) == (9, 5, 3, 0)
    assert [(r.line, r.reason.split(":")[0]) for r in report.refusals] == [
        (6, "could not convert string to float"),
        (8, "no [[event]] of the mapping takes this row"),
        (9, "payload.reason"),
    ]


def test_a_dry_run_counts_and_keeps_nothing(school):
    report = run(None, school)
    assert (report.accepted, report.refused) == (5, 3)


def test_running_twice_adds_nothing(school):
    store = open_store(school)
    run(store, school)
    before = logged(store)
    report = run(store, school)
    assert logged(store) == before
    assert (report.rows, report.accepted, report.duplicates) == (9, 5, 0)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_an_import_killed_after_any_batch_goes_on_where_it_stood(school, monkeypatch, batch):
    monkeypatch.setattr(imports, "BATCH_ITEMS", batch)
    whole = open_store(school, "whole.db")
    expected = run(whole, school)

    class Killed(Exception):
        pass

    def kill(report, share):
        raise Killed

    store = open_store(school, "parts.db")
    for _ in range(20):
        try:
            report = run(store, school, progress=kill)
        except Killed:
            continue
        break
    report = run(store, school)
    assert logged(store) == logged(whole)
    assert (report.rows, report.accepted, report.refused) == (
        expected.rows,
        expected.accepted,
        expected.refused,
    )
    assert report.duplicates == 0


def test_gzip_and_ndjson_are_read_too(school):
    (school / "rows.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    assert run(None, school, "rows.csv.gz").accepted == 5
    (school / "rows.ndjson").write_text('{"day":"01.05.2026","pupil":"p1","kind":"visit:x","minutes":5}\n\n')
    assert run(None, school, "rows.ndjson").accepted == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[[event]]", "[[evnt]]"), "evnt|event"),
        (('sorted_by = "day"', ""), "sorted_by"),
        (("Europe/Berlin", "Europe/Atlantis"), "no time zone"),
        (('{ constant = "team" }', '{ constant = "team", column = "x" }'), "exactly one"),
        (('"students.region"', '"pupils.region"'), "lookup.pupils"),
        (('column = "topic"', 'colum = "topic"'), "colum"),
        (("source =", "source = ="), "cannot be used"),
    ],
)
def test_a_wrong_mapping_is_refused_before_anything_is_read(change, message):
    with pytest.raises(Rejected, match=message):
        load_mapping(MAPPING.replace(*change))


def test_a_missing_look_up_or_an_unreadable_file_is_named(school):
    (school / "students.csv").unlink()
    with pytest.raises(Rejected, match=r"students\.csv is neither"):
        run(None, school)
    (school / "students.csv").write_text("id,region\n")
    (school / "rows.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Rejected, match="cannot be read"):
        run(None, school)
    (school / "rows.xls").write_bytes(b"")
    with pytest.raises(Rejected, match="must end in"):
        run(None, school, "rows.xls")
