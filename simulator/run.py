"""Running the marketplace against a running instance: the live stream with its controls, and the back-fill of history."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from simulator.history import history
from simulator.live import DEFAULT_RATE, MAX_STREAMS, LiveMarket
from simulator.load_report import TimedTransport, report
from simulator.population import STUDENTS, TUTORS
from simulator.scenarios import scenario as find_scenario
from simulator.sender import HttpTransport, Sender, SenderRefused, Transport

TICK = 0.1  # seconds between posts
BATCH = 500  # events per post of the live stream
HISTORY_BATCH = 1_000
MAX_RATE = 2_000.0  # events per second, speed included
LAG = timedelta(milliseconds=20)  # event times stay this far behind the clock
_RATE_WINDOW = 5.0
_OF_A_RUN = ("sent", "accepted", "duplicates", "rejected")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Settings:
    """What can be turned while running. `rate`: events per second at speed 1; `speed`: how many times faster; ValueError when
    out of range."""

    scenario: str = "normal"
    seed: int = 7
    streams: int = 50
    rate: float = DEFAULT_RATE
    speed: float = 1.0

    def __post_init__(self) -> None:
        find_scenario(self.scenario)
        if not 1 <= self.streams <= MAX_STREAMS:
            raise ValueError(f"streams must be 1 to {MAX_STREAMS}, not {self.streams}")
        if not 0 < self.rate <= MAX_RATE:
            raise ValueError(
                f"rate must be above 0 and at most {MAX_RATE:g} events per second, not {self.rate}"
            )
        if not 0.1 <= self.speed <= 60:
            raise ValueError(f"speed must be 0.1 to 60, not {self.speed}")

    @property
    def per_second(self) -> float:
        return min(MAX_RATE, self.rate * self.speed)


class Runner:
    """Sends the live stream in a thread of its own. All public methods may be called from any thread.

    `clock` gives aware UTC times, `monotonic` seconds, `sleep(seconds)` waits (default: until stopped, at most that long).
    """

    def __init__(
        self,
        base: str,
        key: str,
        *,
        transport: Transport | None = None,
        clock: Callable[[], datetime] = _now,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] | None = None,
        **settings: Any,
    ) -> None:
        self.settings = Settings(**settings)
        self._clock, self._monotonic = clock, monotonic
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._sender = Sender(transport or HttpTransport(base, key), self._sleep, self._stop.is_set)
        self._lock = threading.Lock()
        self._paused = False
        self._steps = 0
        self._failure = ""
        self._recent: deque[tuple[float, int]] = deque()
        self._thread: threading.Thread | None = None
        self._market = self._new_market(self.settings)
        self._told = self.settings
        self._before = dict.fromkeys(_OF_A_RUN, 0)  # counters when its scenario began
        self._latest = clock() - LAG

    def start(self) -> Runner:
        """Starts sending; a runner is started once."""
        self._thread = threading.Thread(target=self.run, name="simulator", daemon=True)
        self._thread.start()
        return self

    def stop(self, timeout: float = 3.0) -> None:
        """Ends sending and waits for the thread."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def set(self, **changes: Any) -> None:
        """Changes settings (scenario, seed, streams, rate, speed) from the next event on; ValueError leaves them as they were."""
        with self._lock:
            before, self.settings = self.settings, replace(self.settings, **changes)
            if (before.scenario, before.seed) != (self.settings.scenario, self.settings.seed):
                self._before = {name: getattr(self._sender.counts, name) for name in _OF_A_RUN}

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False

    def step(self, count: int = 1) -> None:
        """Sends `count` events at the next tick, paused or not."""
        with self._lock:
            self._steps += max(0, count)

    @property
    def state(self) -> str:
        """running, paused, stopped or failed."""
        if self._failure:
            return "failed"
        if self._stop.is_set() or self._thread is None or not self._thread.is_alive():
            return "stopped"
        return "paused" if self._paused else "running"

    def status(self) -> dict[str, Any]:
        """State, settings, counters and the events per second of the last five seconds, as plain data.

        `scenario_counts`: what was counted since its scenario began.
        """
        since = self._monotonic() - _RATE_WINDOW
        achieved = sum(count for at, count in tuple(self._recent) if at > since) / _RATE_WINDOW
        counts = self._sender.counts.as_dict()
        own = {name: counts[name] - before for name, before in self._before.items()}
        return (
            {"state": self.state, "simulated": True, "events_per_s": round(achieved, 1)}
            | {"message": self._failure or self._sender.message, "scenario_counts": own}
            | asdict(self.settings)
            | counts
        )

    def run(self) -> None:
        """The loop: as many events per tick as the rate allows, in one post. Returns when stopped or refused."""
        allowance, last = 1.0, self._monotonic()
        try:
            while not self._stop.is_set():
                now = self._monotonic()
                with self._lock:
                    settings, steps, self._steps = self.settings, self._steps, 0
                per_second = 0.0 if self._paused else settings.per_second
                # After a stall at most one second's worth is made up for: a late burst is not a live stream.
                allowance = min(allowance + (now - last) * per_second, max(1.0, per_second))
                last = now
                due = 0 if self._paused else min(int(allowance), BATCH)
                allowance -= due
                for size in (due, *(min(BATCH, steps - sent) for sent in range(0, steps, BATCH))):
                    if size and self._sender.deliver(self._events(settings, size)):
                        self._note(size)
                self._sleep(TICK)
        except SenderRefused as refused:
            self._failure = str(refused)
        finally:
            self._sender.close()

    def _events(self, settings: Settings, count: int) -> list[dict[str, Any]]:
        """The next events, their times spread over the tick that passed, never before an earlier one."""
        if settings.seed != self._told.seed:
            self._market = self._new_market(settings)
        if settings.streams != self._told.streams:
            self._market.set_streams(settings.streams)
        if settings.scenario != self._told.scenario:
            self._market.set_scenario(settings.scenario)
        self._told = settings
        end = max(self._latest, self._clock() - LAG)
        begin = max(self._latest, end - timedelta(seconds=TICK))
        self._latest = end
        return [self._market.step(begin + (end - begin) * (place + 1) / count) for place in range(count)]

    def _new_market(self, settings: Settings) -> LiveMarket:
        return LiveMarket(settings.seed, self._clock(), settings.scenario, settings.streams)

    def _note(self, count: int) -> None:
        now = self._monotonic()
        self._recent.append((now, count))
        while self._recent[0][0] <= now - _RATE_WINDOW:
            self._recent.popleft()


def backfill(
    base: str,
    key: str,
    seed: int,
    days: int,
    now: datetime,
    *,
    students: int = STUDENTS,
    tutors: int = TUTORS,
    transport: Transport | None = None,
    sleep: Callable[[float], Any] = time.sleep,
    progress: Callable[[int], Any] = lambda sent: None,
) -> dict[str, Any]:
    """Posts `days` of history up to `now` in batches of 1,000 and returns the counters.

    `progress(sent)` is called after every batch. Raises SenderRefused for a wrong key, ConnectionError after 20 tries.
    """
    sender = Sender(transport or HttpTransport(base, key), sleep, tries=20)
    events = history(seed, now, days, students, tutors)
    try:
        while batch := list(islice(events, HISTORY_BATCH)):
            sender.deliver(batch)
            progress(sender.counts.sent)
    finally:
        sender.close()
    return sender.counts.as_dict()


def run_cli(
    scenario: str,
    streams: int,
    rate: float,
    seed: int,
    speed: float,
    url: str,
    key: str,
    duration: float | None = None,
    echo: Callable[[str], Any] = print,
    with_report: bool = False,
) -> int:
    """Sends a scenario until Ctrl+C or for `duration` seconds, a line each second; the exit code: 0, or 1 when refused.

    `with_report` adds latencies and a verdict at the end; a failed verdict is exit code 1 too.
    """
    found = find_scenario(scenario)
    timed = TimedTransport(HttpTransport(url, key))
    runner = Runner(
        url, key, transport=timed, scenario=scenario, streams=streams, rate=rate, seed=seed, speed=speed
    )
    echo(f"{found.title}: {found.story}\nExpected: {found.expect}\nSimulated events to {url}; Ctrl+C ends.")
    began = time.monotonic()
    runner.start()
    try:
        while runner.state == "running" and (duration is None or time.monotonic() - began < duration):
            left = 1.0 if duration is None else min(1.0, duration - (time.monotonic() - began))
            time.sleep(max(0.0, left))
            echo(_line(runner.status()))
    except KeyboardInterrupt:
        pass
    failed = runner.state == "failed"
    runner.stop()
    if failed:
        echo(runner.status()["message"])
    elif with_report:
        found_out = report(timed.seconds, runner.status())
        echo("\n".join(found_out.lines))
        failed = not found_out.passed
    return 1 if failed else 0


def _line(status: dict[str, Any]) -> str:
    counts = ", ".join(f"{name} {status[name]:,}" for name in ("sent", "accepted", "duplicates", "rejected"))
    return f"{counts} · {status['events_per_s']:g} events/s" + (
        f" · {status['message']}" if status["message"] else ""
    )
