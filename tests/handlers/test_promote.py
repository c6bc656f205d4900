"""A stage in another region is built again from the copy of the archive, as often as it is asked for."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from click.testing import CliRunner

from backend.domain.alerts import Alert
from backend.domain.errors import NotFound, Rejected, Unavailable
from backend.domain.times import DAY, HOUR, MINUTE
from backend.runtime import aws_promote, aws_redrive, aws_stage, cli_aws
from backend.runtime.aws_archive import GIVEN
from backend.runtime.aws_people import LASTS, NAME
from backend.services import access, alerting, erasing, labelling, limits, views
from tests.builders import NOW, call, session
from tests.handlers.conftest import Home
from tests.handlers.regions import Regions

pytestmark = pytest.mark.aws
RULE = "high_ib_call_frequency"
LATER = NOW + 20 * MINUTE  # when the other region is told to go on


@pytest.fixture
def regions(home: Home) -> Regions:
    home.installation.clock = lambda: NOW
    return Regions(home)


def calls(*students: str) -> list[Any]:
    """Three calls of each, so that everybody has an alert."""
    return [call(f"{s} {n}", NOW - n * MINUTE, student_id=s).event for s in students for n in range(1, 4)]


def alert_of(store: Any, student: str) -> Alert:
    (alert,) = store.alert_list({}, alert_type=RULE, entity=("student", student))[0]
    return alert


def act(store: Any, student: str, action: str, minute: float, actor: str = "ann", **more: Any) -> None:
    alert_id = alert_of(store, student).alert_id
    alerting.command(store, alert_id, action, actor=actor, now_us=NOW + int(minute * MINUTE), **more)


def deeds_of(store: Any, student: str) -> list[tuple[str, str, str | None]]:
    """What people did about the student's alert, oldest first."""
    rows = store.audit_rows([alert_of(store, student).alert_id], NOW + DAY)
    return [(r["actor"], r["action"], r["note"]) for r in reversed(rows) if r["actor"] != "rule"]


def test_everything_in_the_copy_is_taken_in_once(home: Home, regions: Regions) -> None:
    for n, at_us in enumerate((NOW - DAY, NOW - HOUR, NOW)):
        home.store.take_in([session(f"e{n}", at_us).event], at_us)
        regions.archive(at_us)
    fresh = regions.lose()
    for folded in (3, 0):
        assert regions.events() == {"files": 3, "events": 3, "folded": folded}
    assert fresh.entities("student", ["stu_1"])[0]["sessions_7d"] == 3
    # The archive of here is written here: each event once, and whoever is forgotten leaves it.
    assert regions.names(regions.own) == []
    regions.archive(NOW + MINUTE)
    erasing.erase(fresh, "student", "stu_1", NOW + 2 * MINUTE, "ada")
    files = home.installation.files("archive")
    text = [gzip.decompress(files.get(name)) for name in regions.names(regions.own, "raw/")]
    assert [each.count(b"stu_1") for each in text] == [3]
    regions.archive(NOW + 3 * MINUTE)
    assert not any(
        b"stu_1" in gzip.decompress(files.get(name)) for name in regions.names(regions.own, "raw/")
    )
    last = [hour for hour, _ in aws_promote.hours(regions.s3, regions.copy)][-1]
    assert regions.events(last)["files"] == 1
    assert regions.said[-1].startswith(f"{last}:00 1 events")


def test_a_stage_that_is_not_there_is_said_so(home: Home) -> None:
    class Cloud:
        def describe_stacks(self, StackName: str) -> dict[str, Any]:
            return {"Stacks": [{}]}

    with pytest.raises(Unavailable, match="not deployed"):
        aws_promote.promote({"cloudformation": Cloud()}.__getitem__, "test", "copy", "2000", print)


def people_at_work(store: Any) -> None:
    """Every kind of thing that a person does about alerts, each about a student of its own."""
    names = ("taken", "given", "asleep", "gone", "judged", "worse", "plain")
    store.take_in(calls(*names), NOW)
    act(store, "taken", "ack", 1, note="I call her")
    act(store, "taken", "note", 2, actor="bob", note="no answer yet")
    act(store, "given", "assign", 3, owner="carl")
    act(store, "asleep", "snooze", 4, until_us=NOW + DAY)
    act(store, "gone", "dismiss", 5, note="a test account")
    act(store, "judged", "verdict", 6, verdict="useful")
    act(store, "judged", "verdict", 7, verdict="not_useful", note="expected")
    act(store, "worse", "ack", 8)
    store.take_in([call(f"more {n}", NOW, student_id="worse").event for n in range(2)], NOW + 9 * MINUTE)


def test_what_people_did_about_alerts_comes_back_once_and_as_theirs(home: Home, regions: Regions) -> None:
    old = home.store
    people_at_work(old)
    regions.archive(NOW + 10 * MINUTE)
    fresh = regions.lose()
    home.installation.clock = lambda: LATER
    assert regions.people()["left"] == 6  # their rules have not spoken here yet
    regions.events()
    found = regions.people()
    assert (found["applied"], found["left"], found["kept"], found["judged"]) == (6, 0, 0, 1)
    for student in ("taken", "given", "asleep", "gone", "judged", "worse", "plain"):
        there, here = alert_of(old, student), alert_of(fresh, student)
        for field in (
            "status",
            "severity",
            "owner",
            "snoozed_until_us",
            "quiet_until_us",
            "verdict",
            "last_note",
        ):
            assert getattr(here, field) == getattr(there, field), (student, field)
        assert deeds_of(fresh, student) == deeds_of(old, student), student
    taken = alert_of(fresh, "taken")
    assert (taken.acknowledged_by, taken.acknowledged_us) == ("ann", NOW + MINUTE)
    assert alert_of(fresh, "worse").status == "open"  # nobody has acknowledged that it got worse
    before = fresh.alert_list({}, sort="oldest")
    again = regions.people()
    assert (again["applied"], again["known"]) == (0, 6)
    assert fresh.alert_list({}, sort="oldest") == before
    assert regions.names(regions.own) == []  # who is forgotten later is in no file that lies about
    # What was dismissed stays quiet up to the same moment, and goes on living by the rules of here.
    fresh.take_in([call("one more", LATER, student_id="gone").event], LATER)
    assert alert_of(fresh, "gone").status == "dismissed"
    fresh.sweep(NOW + DAY + MINUTE)
    while fresh.is_behind(NOW + DAY + MINUTE):
        fresh.sweep(NOW + DAY + MINUTE)
    assert alert_of(fresh, "asleep").status == "open"


def test_limits_views_labels_and_tokens_come_back_once(home: Home, regions: Regions) -> None:
    old, keys = home.store, home.installation.access
    old.take_in(calls("stu_1"), NOW)
    asked = {"critical": (4.0, 2.0), "warning": (2.0, 1.0)}
    limits.put(old, RULE, asked, enabled=True, seen=1, by="ana", now_us=NOW, note="too late before")
    views.save(old, "dana", "West", "/alerts?region=west", NOW)
    views.pin(old, "dana", "West", NOW)
    labelling.label(old, "stu_1", "stayed", actor="ed", now_us=NOW)
    labelling.label(old, "stu_2", "unsure", actor="ed", now_us=NOW)
    token = home.token("operator")
    gone, _ = access.issue(keys, "old", "access", "admin", NOW, b"x" * 32)
    keys.revoke_credential(gone.key_id, NOW)
    regions.archive(NOW)
    fresh = regions.lose()
    home.installation.__dict__.pop("gate", None)
    regions.events()
    found = regions.people()
    counts = ("limits", "credentials", "views", "labels")
    assert [found[name] for name in counts] == [1, 1, 1, 1]
    (rule,) = [rule for rule in limits.rules(fresh) if rule["rule_id"] == RULE]
    assert (rule["version"], rule["history"][0]["by"], rule["history"][0]["note"]) == (
        2,
        "ana",
        "too late before",
    )
    assert views.landing(fresh, "dana") == "/alerts?region=west"
    (label,) = labelling.labels(fresh, NOW)
    assert (label.said, label.actor, label.at_us) == ("stayed", "ed", NOW)
    who = home.installation.gate.find(token.encode(), NOW)
    assert who is not None
    assert who.role == "operator"
    last = fresh.last_change()
    again = regions.people()
    assert [again[name] for name in counts] == [0, 0, 0, 0]
    assert fresh.last_change() == last


def test_what_somebody_did_here_first_stands(home: Home, regions: Regions) -> None:
    old = home.store
    old.take_in(calls("hers", "his"), NOW)
    act(old, "hers", "dismiss", 1, note="known")
    act(old, "his", "ack", 1)
    asked = {"critical": (4.0, 2.0), "warning": (2.0, 1.0)}
    limits.put(old, RULE, asked, enabled=True, seen=1, by="ana", now_us=NOW)
    views.save(old, "dana", "West", "/alerts?region=west", NOW)
    access.issue(home.installation.access, "dana", "access", "admin", NOW, b"x" * 32)
    regions.archive(NOW + 2 * MINUTE)
    fresh = regions.lose()
    home.installation.clock = lambda: LATER
    regions.events()
    act(fresh, "hers", "ack", 20, actor="zoe")
    wider = {"critical": (9.0, 5.0), "warning": (6.0, 3.0)}
    limits.put(fresh, RULE, wider, enabled=True, seen=1, by="zoe", now_us=LATER)
    views.save(fresh, "dana", "East", "/alerts?region=east", LATER)
    mine, _ = access.issue(home.installation.access, "dana", "access", "viewer", LATER, b"y" * 32)
    found = regions.people()
    assert (found["applied"], found["kept"]) == (1, 1)
    assert [found[name] for name in ("limits", "credentials", "views")] == [0, 0, 0]
    assert alert_of(fresh, "hers").acknowledged_by == "zoe"
    assert deeds_of(fresh, "his") == [("ann", "ack", None)]
    assert limits.book(fresh)[RULE].levels[0].opens == 9
    assert [view["name"] for view in views.views(fresh, "dana")["views"]] == ["East"]
    assert [each.key_id for each in home.installation.access.credentials()] == [mine.key_id]
    assert list(aws_promote.words(found)) == [
        "alerts as people left them: 1 now, 0 before; limits 0, credentials 0, views 0, labels 0",
        "alerts that stay as somebody wants them here: 1",
    ]


def test_a_stand_by_that_is_kept_warm_follows_what_people_do(home: Home, regions: Regions) -> None:
    old, there = home.store, home.installation.access
    old.take_in(calls("stu_1"), NOW)
    act(old, "stu_1", "ack", 1)
    views.save(old, "dana", "West", "/alerts?region=west", NOW)
    made, _ = access.issue(there, "eve", "access", "admin", NOW, b"x" * 32)
    regions.archive(NOW + 2 * MINUTE)
    fresh = regions.lose()
    here = home.installation.access
    regions.events()
    regions.people()
    assert (alert_of(fresh, "stu_1").status, len(here.credentials())) == ("acknowledged", 1)
    parts = home.installation.__dict__
    parts["store"], parts["access"] = old, there  # the first region works on
    act(old, "stu_1", "unack", 3)
    act(old, "stu_1", "snooze", 4, until_us=NOW + DAY)
    views.delete(old, "dana", "West", NOW)
    there.revoke_credential(made.key_id, NOW)
    regions.archive(NOW + 15 * MINUTE)
    regions.replicate()
    parts["store"], parts["access"] = fresh, here
    found = regions.people()
    assert [found[name] for name in ("applied", "views", "credentials")] == [1, 1, 1]
    assert alert_of(fresh, "stu_1").status == "snoozed"
    assert deeds_of(fresh, "stu_1") == deeds_of(old, "stu_1")
    assert views.views(fresh, "dana")["views"] == []
    assert here.credentials()[0].revoked_us == NOW


def test_the_command_brings_limits_then_events_then_what_people_did(
    home: Home, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"critical": (9.0, 5.0), "warning": (2.0, 1.0)}
    limits.put(home.store, RULE, asked, enabled=True, seen=1, by="ana", now_us=NOW)
    home.store.take_in(calls("stu_1")[:2], NOW)  # two are too many by her limits alone
    act(home.store, "stu_1", "ack", 1)
    regions.archive(NOW + 2 * MINUTE)
    regions.lose()
    home.installation.clock = lambda: LATER
    monkeypatch.setattr(aws_stage, "clients", lambda *_: regions.client)
    order = ["--stage", "test", "--region", "us-west-2", "--copy", regions.copy]
    for more, says in (
        ([], "1 now, 0 before; limits 1, credentials 0, views 0, labels 0"),
        (["--people"], "0 now, 1 before; limits 0, credentials 0, views 0, labels 0"),
    ):
        done = CliRunner().invoke(cli_aws.promote, order + more)
        assert done.exit_code == 0, done.output
        assert done.output.splitlines()[-1] == f"alerts as people left them: {says}"
    regions.s3.put_object(Bucket=regions.copy, Key=NAME, Body=b"x")
    done = CliRunner().invoke(cli_aws.promote, [*order, "--people"])
    assert done.exit_code == 1
    assert done.output.strip().endswith("do this again; go on with --people")


def test_rules_that_are_silent_after_a_long_past_are_waited_for(home: Home, regions: Regions) -> None:
    past = [session(f"s{i}", NOW - 20 * DAY + i * MINUTE, student_id=f"s{i % 9}").event for i in range(250)]
    home.store.take_in([*past, *calls("stu_1")], NOW)
    home.store.sweep(NOW + MINUTE)
    act(home.store, "stu_1", "ack", 2)
    regions.archive(NOW + 3 * MINUTE)
    fresh = regions.lose()
    now = [LATER]
    home.installation.clock = lambda: now[0]
    regions.events()
    assert fresh.is_quiet(now[0])

    def wait(seconds: float) -> None:
        now[0] += int(seconds * 1_000_000)

    found = regions.people(wait)
    assert (found["applied"], found["left"], found["judged"]) == (1, 0, 1)
    assert alert_of(fresh, "stu_1").acknowledged_by == "ann"


def test_who_has_no_alert_here_waits_and_an_end_whose_time_is_over_is_forgotten(
    home: Home, regions: Regions
) -> None:
    home.store.take_in(calls("waits", "ended"), NOW)
    act(home.store, "waits", "ack", 1)
    act(home.store, "ended", "dismiss", 1)
    regions.archive(NOW + 2 * MINUTE)
    fresh = regions.lose()
    home.installation.clock = lambda: NOW + DAY
    fresh.take_in(calls("ended"), NOW + DAY)
    found = regions.people()
    assert (found["left"], found["over"], found["applied"]) == (1, 1, 0)
    assert alert_of(fresh, "ended").status == "open"
    assert "until their rules speak here: 1;" in list(aws_promote.words(found))[-1]
    fresh.take_in(calls("waits"), NOW + DAY)
    assert regions.people()["applied"] == 1


def test_the_file_is_written_when_it_changed_and_holds_nobody_who_was_forgotten(
    home: Home, regions: Regions
) -> None:
    store = home.store
    store.take_in(calls("stays", "leaves"), NOW)
    regions.archive(NOW)
    assert regions.names(regions.own, "people/") == []  # nobody has done anything
    act(store, "stays", "ack", 1)
    act(store, "leaves", "ack", 1, note="leaves wants it so")
    files = home.installation.files("archive")

    def look(at_us: int) -> bytes:
        regions.archive(at_us)
        text = gzip.decompress(files.get(NAME))
        files.put(NAME, gzip.compress(text + b" "), "application/gzip")  # seen: is it written over?
        return text

    assert b"leaves" in look(NOW + 2 * MINUTE)
    assert look(NOW + 3 * MINUTE).endswith(b" ")
    assert not look(NOW + LASTS + 3 * MINUTE).endswith(b" ")  # or it went with the old ones
    labelling.label(store, "leaves", "churned", actor="ed", now_us=NOW)
    assert b"churned" in look(NOW + 4 * MINUTE)
    erasing.erase(store, "student", "leaves", NOW + 5 * MINUTE, "ada")
    text = look(NOW + 6 * MINUTE)
    assert b"stays" in text
    assert b"leaves" not in text


def test_an_alert_that_was_ended_between_two_runs_is_in_the_file(home: Home, regions: Regions) -> None:
    old = NOW - 2 * DAY
    home.store.take_in([call(f"c{n}", old - n, student_id="stu_1").event for n in range(3)], old)
    regions.archive(NOW)
    act(home.store, "stu_1", "dismiss", 1)
    regions.archive(NOW + 2 * MINUTE)
    text = json.loads(gzip.decompress(home.installation.files("archive").get(NAME)))
    assert [alert["status"] for alert in text["alerts"]] == ["dismissed"]
    regions.archive(NOW + 2 * DAY)  # its quiet time is over
    text = json.loads(gzip.decompress(home.installation.files("archive").get(NAME)))
    assert text["alerts"] == []


def test_a_copy_of_an_older_stage_holds_nothing_of_people(home: Home, regions: Regions) -> None:
    home.store.take_in(calls("stu_1"), NOW)
    regions.archive(NOW)
    regions.lose()
    assert regions.people() is None
    assert list(aws_promote.words(None)) == [aws_promote.NO_PEOPLE]
    with pytest.raises(NotFound, match="iops promote --people"):
        aws_redrive.again(home.installation, {"people": True})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b'{"version": 2, "alerts": {}}'), "version 2, and this release reads 1: deploy"),
        (gzip.compress(b'{"version": 1, "alerts": [{}]}'), "cannot be read .* nothing of it was taken over"),
        (gzip.compress(b"[]")[:-3], "cannot be read"),
        (b"no gzip", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(
    home: Home, regions: Regions, content: bytes, says: str
) -> None:
    regions.s3.put_object(Bucket=regions.copy, Key=NAME, Body=content)
    with pytest.raises(Unavailable, match=says):
        regions.people()
    assert regions.names(regions.own, GIVEN) == []
    home.installation.files("archive").put(GIVEN + NAME, content, "application/gzip")
    with pytest.raises(Rejected, match=says):
        aws_redrive.again(home.installation, {"people": True})
