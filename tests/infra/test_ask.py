"""SQL over the archive: the table says where the archive writes and what it writes, and who may ask reads nothing else."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

from backend.domain.times import HOUR, to_us
from backend.runtime.aws_archive import lines_of, prefix_of
from infra import ask
from tests.builders import NOW, session
from tests.infra.assembly import Assembly


def test_the_table_looks_where_the_archive_writes(each: Assembly) -> None:
    (table,) = each.of("AWS::Glue::Table")
    parameters = table.properties["TableInput"]["Parameters"]
    (archive,) = [b for b in each.of("AWS::S3::Bucket") if b.id.startswith("Storesarchive")]
    assert parameters["storage.location.template"].startswith(f"s3://{archive.stack}.{archive.id}/raw/")
    assert parameters["projection.enabled"] == "true"
    for at in (datetime(2026, 1, 2, 3, tzinfo=UTC), datetime(2031, 12, 31, 23, tzinfo=UTC)):
        assert "raw/" + ask.folder(at) == prefix_of(to_us(at) // HOUR * HOUR)
    parts = parameters["storage.location.template"].partition("/raw/")[2]
    for name, (first, last, digits) in ask.PARTITIONS.items():
        assert parameters[f"projection.{name}.range"] == f"{first},{last}"
        assert parameters[f"projection.{name}.digits"] == str(digits)
        parts = parts.replace(f"${{{name}}}", "")
    assert parts == "year=/month=/day=/hour=/"
    assert [key["Name"] for key in table.properties["TableInput"]["PartitionKeys"]] == list(ask.PARTITIONS)


def test_the_columns_are_what_a_line_of_the_archive_holds() -> None:
    (line,) = gzip.decompress(lines_of([session("e1", NOW).event])).splitlines()
    assert tuple(json.loads(line)) == ask.COLUMNS


def test_a_question_cannot_cost_much_and_its_answers_go(each: Assembly) -> None:
    (group,) = each.of("AWS::Athena::WorkGroup")
    settings = group.properties["WorkGroupConfiguration"]
    assert settings["EnforceWorkGroupConfiguration"] is True
    assert settings["BytesScannedCutoffPerQuery"] <= 10_000_000_000
    (answers,) = [b for b in each.of("AWS::S3::Bucket") if b.id.startswith("Storesanswers")]
    place = settings["ResultConfiguration"]["OutputLocation"]
    assert place == f"s3://{answers.stack}.{answers.id}/"
    (rule,) = answers.properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 7


def test_whoever_may_ask_reads_the_archive_and_nothing_else(each: Assembly) -> None:
    (policy,) = [p for p in each.of("AWS::IAM::ManagedPolicy") if p.id.startswith("Questions")]
    statements = policy.properties["PolicyDocument"]["Statement"]
    reached = json.dumps([s["Resource"] for s in statements])
    for other in ("Storesstate", "Storesevents", "Storesmodels", "Storesfailures"):
        assert other not in reached
    actions = {
        a for s in statements for a in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])
    }
    assert not {a for a in actions if "*" in a or a.startswith(("dynamodb:", "glue:Delete", "glue:Create"))}
    objects = [s["Resource"] for s in statements if s["Action"] == "s3:GetObject"]
    assert [resource.endswith("/raw/*") for resource in objects] == [True]  # not what people did
    writes = [s for s in statements if "s3:PutObject" in s["Action"]]
    assert ["Storesanswers" in json.dumps(s["Resource"]) for s in writes] == [True]
