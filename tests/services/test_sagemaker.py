"""Scoring through a SageMaker endpoint: an HTTP server stands in for it, and runs the program of the container."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.aws.files import Files
from backend.adapters.sagemaker import SageMakerModels, runtime_client
from backend.domain.times import DAY, HOUR, iso
from backend.ml import sagemaker_entry as entry
from backend.ml.event_files import source_of
from backend.ml.history import as_mapping
from backend.ml.model_files import SHIPPED, FolderFiles
from backend.ml.promotion import ModelRegistry
from backend.ml.scorer import LocalModels
from backend.runtime import train as training
from backend.runtime.aws_archive import lines_of, name_of
from backend.services.scoring import Models, ModelsUnavailable
from tests.builders import NOW, session

EVENTS = [
    session(f"s{d}", NOW - d * DAY, rating=4, was_cancelled=False, no_show=False).event
    for d in range(20, 80, 3)
]


class Endpoint:
    """What the fake answers: by the container's own functions, or as a test asks."""

    def __init__(self) -> None:
        self.served = entry.model_fn(str(SHIPPED.root))
        self.paths: list[str] = []
        self.fault = ""
        self.release = threading.Event()

    def answer(self, body: bytes, content_type: str) -> tuple[int, bytes]:
        if self.fault == "slow":
            self.release.wait(20)
        if self.fault == "error":
            return 500, b'{"Message": "out of memory"}'
        if self.fault == "nonsense":
            return 200, b'{"model": "x", "predictions": {"churn_30d": {"value": "high"}}}'
        asked = entry.input_fn(body, content_type)
        return 200, entry.output_fn(entry.predict_fn(asked, self.served), "application/json")[0]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[Endpoint, str]]:
    folder = FolderFiles(tmp_path)
    registry = ModelRegistry(folder, SHIPPED)
    for kind in ("student", "tutor"):
        registry.add(registry.load(kind, registry.use(kind)["active"]))
        folder.write(f"{kind}/use.json", json.dumps(registry.use(kind)).encode())
    state = Endpoint()
    state.served = entry.model_fn(str(tmp_path))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.paths.append(self.path)
            status, answer = state.answer(body, self.headers["Content-Type"])
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state, f"http://127.0.0.1:{server.server_port}"
    state.release.set()
    server.shutdown()
    server.server_close()
    thread.join()


def remote(url: str) -> SageMakerModels:
    client = runtime_client(
        endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    return SageMakerModels("iops-models", client)


def test_the_endpoint_says_what_the_same_model_says_here(
    endpoint: tuple[Endpoint, str], tmp_path: Path
) -> None:
    state, url = endpoint
    there: Models = remote(url)
    here: Models = LocalModels(ModelRegistry(FolderFiles(tmp_path)))
    assert there.predict("student", "stu_1", EVENTS, NOW) == here.predict("student", "stu_1", EVENTS, NOW)
    assert there.predict("tutor", "tut_1", EVENTS, NOW) == here.predict("tutor", "tut_1", EVENTS, NOW)
    assert state.paths[0] == "/endpoints/iops-models/invocations"


@pytest.mark.parametrize(("fault", "words"), [("error", "fails"), ("nonsense", "no prediction")])
def test_an_endpoint_that_fails_is_said_not_replaced_by_a_made_up_score(
    endpoint: tuple[Endpoint, str], fault: str, words: str
) -> None:
    state, url = endpoint
    state.fault = fault
    with pytest.raises(ModelsUnavailable, match=words):
        remote(url).predict("student", "stu_1", EVENTS, NOW)


def test_an_endpoint_that_hangs_is_given_up(
    endpoint: tuple[Endpoint, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state, url = endpoint
    state.fault = "slow"
    monkeypatch.setattr("backend.adapters.sagemaker.READ_SECONDS", 0.2)
    with pytest.raises(ModelsUnavailable, match="cannot be reached"):
        remote(url).predict("student", "stu_1", EVENTS, NOW)
    assert not state.release.is_set()


def test_other_features_or_an_unknown_kind_are_refused(endpoint: tuple[Endpoint, str]) -> None:
    state, _ = endpoint
    for asked, words in (
        ({"entity_type": "region"}, "no model of region"),
        ({"entity_type": "student", "feature_version": "0"}, "version 0"),
    ):
        with pytest.raises(entry.BadRequest, match=words):
            entry.predict_fn(asked, state.served)
    with pytest.raises(entry.BadRequest, match="application/json"):
        entry.input_fn(b"{}", "text/csv")


def lines() -> list[dict[str, Any]]:
    """Events as `iops export events` writes them."""
    return [
        {
            "event_id": e.event_id,
            "event_type": e.event_type,
            "occurred_at": iso(e.occurred_us),
            "payload": e.payload,
        }
        for e in EVENTS
    ]


def test_files_are_read_as_they_were_exported_and_a_bad_line_is_named() -> None:
    content = "".join(json.dumps(line) + "\n" for line in lines()).encode()
    source = source_of([("events.ndjson", content)], "exported log")
    assert [name for name, _ in source.histories("student")] == ["stu_1"]
    assert len(next(iter(source.histories("tutor")))[1]) == len(EVENTS)
    bad = content + b'{"event_type": "nothing"}\n'
    with pytest.raises(ValueError, match=rf"events\.ndjson line {len(EVENTS) + 1}"):
        source_of([("events.ndjson", bad)], "exported log")
    with pytest.raises(ValueError, match=r"cannot be unpacked"):
        source_of([("events.ndjson.gz", content)], "exported log")
    with pytest.raises(ValueError, match="there is no event in exported log"):
        source_of([], "exported log")


class Bucket:
    """The part of boto3's S3 client that reads, over a dictionary; pages hold one name."""

    def __init__(self, held: dict[str, bytes]) -> None:
        self.held = held

    def list_objects_v2(self, Bucket: str, Prefix: str, ContinuationToken: str = "0") -> dict[str, Any]:
        names = sorted(name for name in self.held if name.startswith(Prefix))
        at = int(ContinuationToken)
        more = at + 1 < len(names)
        page = [{"Key": name} for name in names[at : at + 1]]
        return {"Contents": page, "IsTruncated": more, "NextContinuationToken": str(at + 1)}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.held[Key])}


def test_the_archive_in_s3_gives_the_same_histories_as_the_log() -> None:
    half = len(EVENTS) // 2
    held = {
        name_of(NOW, 1, 1): lines_of(EVENTS[:half]),
        name_of(NOW + HOUR, 2, 2): lines_of(EVENTS[half - 1 :]),  # one stands in both
        "raw/readme.txt": b"not events",
        "other/events.ndjson": b"{}",
    }
    said: list[str] = []
    source = training.bucket("s3://archive/raw/", lambda name: Files(Bucket(held), name), said.append)
    ((student, events),) = source.histories("student")
    assert (student, [e["occurred_at"] for e in events]) == (
        "stu_1",
        [as_mapping(e)["occurred_at"] for e in EVENTS],
    )
    assert source.name == "archive s3://archive/raw/"
    assert said == ["reading 2 files of events from s3://archive/raw/"]
    with pytest.raises(ValueError, match="s3://BUCKET/PREFIX"):
        training.bucket("s3:///raw", lambda name: Files(Bucket(held), name), said.append)


def test_the_container_trains_from_a_channel_of_archived_files(tmp_path: Path) -> None:
    place = tmp_path / name_of(NOW, 1, 1)
    place.parent.mkdir(parents=True)
    place.write_bytes(lines_of(EVENTS))
    with pytest.raises(ValueError, match="churn_14d: 2 train rows"):  # read, and too few to learn from
        entry.train(tmp_path, tmp_path / "models", trials=1, seed=1, threads=1)
