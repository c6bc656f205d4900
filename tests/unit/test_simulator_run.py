"""Sending: nothing is lost and nothing counted twice, whatever the server does; the controls do what they say."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from simulator import truth
from simulator.generate import history
from simulator.population import build
from simulator.run import Runner, Settings, backfill, run_cli
from simulator.scenarios import SCENARIOS
from simulator.selfcheck import asked, entities, evaluate
from simulator.sender import Answer, HttpTransport, SenderRefused

NOW = datetime(2026, 3, 18, 22, 10, tzinfo=UTC)


class Product:
    """A stand-in for the ingest route. `trouble` is played once, in order: a status, "lost before" or "lost after"."""

    def __init__(self, trouble: tuple = (), key: str = "k") -> None:
        self.trouble, self.key = list(trouble), key
        self.order: list[str] = []
        self.events: dict[str, dict] = {}
        self.sizes: list[int] = []

    def post(self, body: bytes, key: str = "k") -> Answer:
        batch = json.loads(body)
        self.sizes.append(len(batch))
        if key != self.key:
            return Answer(401, None, b"{}")
        trouble = self.trouble.pop(0) if self.trouble else None
        if trouble == "lost before":
            raise ConnectionResetError("gone")
        if isinstance(trouble, int):
            return Answer(trouble, "0", b"{}")
        answer = self._take(batch)
        if trouble == "lost after":
            raise ConnectionResetError("gone")
        return answer

    def _take(self, batch: list[dict]) -> Answer:
        results = []
        for event in batch:
            known = event["event_id"] in self.events
            good = isinstance(event.get("payload"), dict)
            results.append({"status": "duplicate" if known else "accepted" if good else "rejected"})
            if good and not known:
                self.events[event["event_id"]] = event
                self.order.append(event["event_id"])
        return Answer(202, None, json.dumps({"results": results}).encode())

    def close(self) -> None:
        pass


@pytest.fixture
def serve():
    """Serves a Product on a free port; gives its address."""
    servers = []

    def start(product: Product) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    answer = product.post(body, self.headers.get("X-API-Key", ""))
                except ConnectionResetError:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                if answer.retry_after is not None:
                    self.send_header("Retry-After", answer.retry_after)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def until(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.01)


class FakeTime:
    """A clock that only sleeping moves; it stops the runner after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.at, self.runner = seconds, 0.0, None

    def monotonic(self) -> float:
        return self.at

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.at)

    def sleep(self, seconds: float) -> None:
        self.at += seconds
        if self.at >= self.seconds and self.runner:
            self.runner.stop()


def ran(product: Product, seconds: float, **settings) -> tuple[Runner, FakeTime]:
    fake = FakeTime(seconds)
    fake.runner = Runner(
        "", "", transport=product, clock=fake.clock, monotonic=fake.monotonic, sleep=fake.sleep, **settings
    )
    fake.runner.run()
    return fake.runner, fake


TROUBLES = {
    "none": (),
    "busy": (503, 429, 503),
    "gone before it arrived": ("lost before", None, "lost before"),
    "gone after it arrived": ("lost after", None, "lost after", 503),
    "everything": (500, "lost after", "lost before", 429, None, "lost after", 502),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_no_event_is_lost_or_counted_twice(serve, trouble):
    product = Product(trouble)
    runner = Runner(serve(product), "k", rate=200).start()
    until(lambda: runner.status()["accepted"] >= 60 and not product.trouble)
    runner.stop()
    status = runner.status()
    assert [int(name[-7:]) for name in product.order] == list(range(len(product.order)))
    assert status["accepted"] == len(product.events) == status["sent"]
    assert (status["duplicates"], status["rejected"]) == (0, 0)
    assert status["errors"] == sum(item is not None for item in trouble)
    assert sum(status["by_type"].values()) == status["sent"]
    assert status["state"] == "stopped"


def test_event_times_follow_the_clock_and_never_step_back():
    product = Product()
    _, fake = ran(product, 6, rate=50)
    times = [datetime.fromisoformat(product.events[name]["occurred_at"]) for name in product.order]
    assert times == sorted(times)
    assert NOW - timedelta(seconds=1) < times[0]
    assert fake.clock() - timedelta(seconds=1) < times[-1] <= fake.clock()


@pytest.mark.parametrize(("rate", "speed"), [(1, 1), (20, 1), (20, 5), (500, 1), (8, 60)])
def test_the_rate_is_kept(rate, speed):
    product = Product()
    runner, _ = ran(product, 10, rate=rate, speed=speed)
    assert len(product.events) == pytest.approx(10 * rate * speed, rel=0.03, abs=2)
    assert max(product.sizes) <= 500
    assert runner.status()["events_per_s"] == pytest.approx(rate * speed, rel=0.06, abs=0.5)


def test_a_stall_is_not_made_up_for_beyond_a_second():
    product = Product([503] * 6)
    product.post = _stalling(product.post)
    ran(product, 60, rate=10)
    assert max(product.sizes) <= 10


def _stalling(post):
    return lambda body: post(body)._replace(retry_after="5")


def test_pause_step_and_resume():
    product = Product()
    runner = Runner("", "", transport=product, rate=100)
    runner.pause()
    runner.start()
    runner.step(7)
    until(lambda: len(product.events) == 7)
    assert runner.state == "paused"
    runner.step(1)
    until(lambda: len(product.events) == 8)
    runner.resume()
    until(lambda: len(product.events) > 20)
    assert runner.state == "running"
    runner.stop()
    assert runner.state == "stopped"


def test_settings_change_while_running():
    product = Product()
    runner = Runner("", "", transport=product)
    runner.pause()
    runner.start()
    for change in ({"scenario": "call_spike"}, {"seed": 99}, {"streams": 200}, {"rate": 50.0, "speed": 2.0}):
        runner.set(**change)
        before = len(product.events)
        runner.step(300)
        until(lambda before=before: len(product.events) == before + 300)
    runner.stop()
    seeds = Counter(name.split("-")[1] for name in product.order)
    assert seeds == {"7": 300, "99": 900}
    kinds = Counter(product.events[name]["event_type"] for name in product.order)
    assert kinds["ib_call_logged"] > 60
    assert kinds["supply_demand_update"] > 150
    assert runner.settings == Settings("call_spike", 99, 200, 50.0, 2.0)


def test_a_scenario_counts_from_its_own_beginning():
    product = Product()
    runner = Runner("", "", transport=product)
    runner.pause()
    runner.start()
    runner.step(60)
    until(lambda: runner.status()["sent"] == 60)
    runner.set(rate=50.0)  # the same scenario goes on
    assert runner.status()["scenario_counts"]["sent"] == 60
    runner.set(scenario="call_spike")
    runner.step(10)
    until(lambda: runner.status()["sent"] == 70)
    runner.stop()
    assert runner.status()["scenario_counts"] == {"sent": 10, "accepted": 10, "duplicates": 0, "rejected": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"scenario": "quake"},
        {"streams": 0},
        {"streams": 501},
        {"rate": 0},
        {"rate": -1},
        {"rate": 1e9},
        {"speed": 61},
    ],
)
def test_settings_out_of_range_are_refused_and_change_nothing(change):
    runner = Runner("", "", transport=Product())
    with pytest.raises(ValueError):
        runner.set(**change)
    assert runner.settings == Settings()
    with pytest.raises(ValueError):
        Runner("", "", transport=Product(), **change)


def test_a_wrong_key_ends_the_run_with_advice(serve):
    address = serve(Product(key="other"))
    runner = Runner(address, "k").start()
    until(lambda: runner.state == "failed")
    assert "key" in runner.status()["message"]
    with pytest.raises(SenderRefused):
        backfill(address, "k", 7, 1, NOW)


def test_stopping_does_not_wait_for_an_absent_server():
    runner = Runner("http://127.0.0.1:9", "k").start()
    until(lambda: runner.status()["errors"] > 0)
    assert "trying again" in runner.status()["message"]
    runner.stop()
    assert runner.state == "stopped"


@pytest.mark.parametrize("address", ["", "localhost", "ftp://here", "http://"])
def test_an_address_must_be_one(address):
    with pytest.raises(ValueError):
        HttpTransport(address, "k")


def test_duplicates_of_a_bad_line_are_counted_as_such():
    product = Product(["lost after", None, 503])
    runner, _ = ran(product, 20, rate=20, scenario="chaos_delivery")
    status = runner.status()
    assert status["accepted"] == len(product.events)
    assert status["duplicates"] == status["sent"] - status["accepted"] > 20
    assert status["rejected"] == 0


def test_refused_events_are_counted_as_rejected():
    status = ran(Product(), 20, rate=20, scenario="bad_data")[0].status()
    assert 0 < status["rejected"] < status["sent"] / 4
    assert status["accepted"] + status["rejected"] == status["sent"]


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_batch_counts_as_rejected_and_is_not_posted_again(status):
    product = Product([status])
    runner, _ = ran(product, 3, rate=10)
    assert runner.status()["rejected"] == product.sizes[0]
    assert runner.status()["errors"] == 0


def test_a_backfill_delivers_the_history_in_order_once(serve):
    product = Product([503, "lost after", 413, None, "lost before"])
    address = serve(product)
    seen: list[int] = []
    counts = backfill(address, "k", 7, 3, NOW, students=60, tutors=12, progress=seen.append)
    expected = [event["event_id"] for event in history(7, NOW, 3, 60, 12)]
    assert product.order == expected
    assert max(product.sizes) <= 1000
    assert (counts["accepted"], counts["duplicates"], counts["rejected"]) == (len(expected), 0, 0)
    assert seen == sorted(seen)
    assert seen[-1] == len(expected)
    again = backfill(address, "k", 7, 3, NOW, students=60, tutors=12)
    assert (again["accepted"], again["duplicates"]) == (0, len(expected))


def test_a_backfill_gives_up_on_an_absent_server_in_the_end():
    product = Product(["lost before"] * 50)
    with pytest.raises(ConnectionError):
        backfill("", "", 7, 1, NOW, transport=product, sleep=lambda seconds: None)


def test_the_command_reports_each_second_and_says_how_it_ended(serve):
    said: list[str] = []
    product = Product()
    assert run_cli("normal", 10, 50, 7, 1, serve(product), "k", duration=0.5, echo=said.append) == 0
    assert "A normal day" in said[0]
    assert "accepted" in said[-1]
    assert product.events
    assert run_cli("normal", 10, 50, 7, 1, serve(Product()), "wrong", duration=5, echo=said.append) == 1
    assert "key" in said[-1]


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("noticed", [True, False])
def test_the_self_check_passes_only_when_the_product_noticed(name, noticed):
    struck = truth.struck(name, build(7))
    kinds = {check.alert_type for check in SCENARIOS[name].checks if check.alert_type}
    alerts = [{"alert_type": kind, "entity_id": who} for kind in kinds for who in entities(kind, struck)]
    wants_alerts = all(check.kind != "resolved" for check in SCENARIOS[name].checks)
    spoiled = 40 if (name == "bad_data") == noticed else 0
    counts = {"rejected": spoiled, "duplicates": 40}
    paths: list[str] = []

    def read(path: str) -> dict:
        paths.append(path)
        return {"items": alerts if wants_alerts == noticed else []}

    outcome = evaluate(name, 7, counts, asked(read))
    assert outcome.passed == noticed, outcome.findings
    assert len(outcome.findings) == len(SCENARIOS[name].checks)
    assert bool(paths) == bool(kinds)
