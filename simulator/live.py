"""The present of a marketplace: one event per step, for as long as somebody asks.

Who does what is decided by the seed, the scenario, the number of the step and the hour of the week; the time passed in becomes the
event time. At `DEFAULT_RATE` sessions begin as often as they did in the history at such an hour, so that what is usual stays
usual; at ten times the rate, ten times as often.

`streams` session streams take turns. Each holds at most one session: it begins one and ends it a few turns later.
Turns without anything to begin or end carry what changes all the time: the market, tutors' hours, reported health.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from simulator import behaviour, envelope, market, truth
from simulator.acts import ACTS, Draft
from simulator.faults import MALFORMED_SHARE, Delivery, malformed
from simulator.population import STUDENTS, TUTORS, Student, build
from simulator.rhythm import intensity
from simulator.scenarios import scenario as find_scenario

MAX_STREAMS = 500
QUIETEST = 0.5  # share of the mean pace at which sessions go on when a region sleeps: a stream that is watched is never idle
DEFAULT_RATE = 8.0  # events per second of `live` at speed 1
_BACKGROUND = (("market", 58), ("tutors", 24), ("health", 18))


@dataclass(slots=True)
class _Stream:
    rng: Random
    wait: int = 0  # turns until the session ends
    session: dict[str, Any] | None = None


class LiveMarket:
    """A running marketplace. `step(now)` gives the next event; scenario and streams may change between steps.

    ValueError for an unknown scenario, streams outside 1 to 500, or a naive `start`.
    """

    def __init__(
        self,
        seed: int,
        start: datetime,
        scenario: str = "normal",
        streams: int = 50,
        students: int = STUDENTS,
        tutors: int = TUTORS,
    ) -> None:
        self.population = build(seed, students, tutors)
        self.courses = truth.courses(self.population)
        self.balances = market.balances(self.population)
        self.run = envelope.run_name(seed, "l", start)
        self.steps = 0
        self.told: Counter[str] = Counter()  # how far an act has gone with whom
        self._rng = Random(f"live:{seed}")
        self._by_id = {s.id: s for s in self.population.students}
        # Only those who come as ever come in the live stream: whoever was lost in the history stays lost.
        self._coming = [
            s
            for s in self.population.students
            if self.courses[s.id].active and s.segment in ("thriving", "healthy")
        ]
        booked = sum(len(student.slots) for student in self._coming)
        self._pace = booked / (7 * 86_400 * DEFAULT_RATE)  # sessions that begin per step, mean of the week
        self._busy: set[str] = set()
        self._called: set[str] = set()
        self._queue: deque[Draft] = deque()  # what must follow soon, such as the end of a session
        self._delivered: deque[dict[str, Any]] = deque()  # finished events that a better line lets through
        self._delivery = Delivery(Random(f"delivery:{seed}"))
        self._streams: list[_Stream] = []
        self._cells = list(self.balances)
        self.set_streams(streams)
        self.set_scenario(scenario)

    def set_scenario(self, name: str) -> None:
        """Switches to a scenario; the same name again tells its story from the start."""
        self.scenario = find_scenario(name)
        self.struck = truth.struck(name, self.population)
        self.told.clear()
        self._spared = {*self.struck.students, *self.struck.tutors, *self.struck.cells}
        self._delivered.extend(self._delivery.drain())

    def set_streams(self, count: int) -> None:
        """Runs `count` session streams; sessions of streams that are taken away end at once."""
        if not 1 <= count <= MAX_STREAMS:
            raise ValueError(f"streams must be 1 to {MAX_STREAMS}, not {count}")
        for number in range(len(self._streams), count):
            self._streams.append(_Stream(Random(f"stream:{self.population.seed}:{number}")))
        for stream in self._streams[count:]:
            if stream.session is not None:
                self._end(stream)
        del self._streams[count:]

    def step(self, now: datetime) -> dict[str, Any]:
        """The next event, with `now` (aware) as its time."""
        if self._delivered:
            return self._delivered.popleft()
        if self.scenario.name == "chaos_delivery":
            return self._delivery.next(lambda: self._make(now), now)
        event = self._make(now)
        if self.scenario.name == "bad_data" and self._rng.random() < MALFORMED_SHARE:
            return malformed(event, self._rng)
        return event

    def student(self, student_id: str) -> Student:
        return self._by_id[student_id]

    def name_of(self, kind: str) -> str:
        """A session or call id that no other step of any run of other start uses."""
        return f"sim_{kind}_{self.run[4:]}_{self.steps}"

    def follow_up(self, draft: Draft) -> None:
        """Puts what must come next: it is told before anything new begins."""
        self._queue.append(draft)

    def background(self, now: datetime, kind: str, rng: Random) -> Draft:
        """A change of the market, of a tutor's hours or of a reported health, of somebody the scenario has not struck."""
        if kind == "market":
            cell = self._pick(self._cells, rng)
            return "supply_demand_update", market.snapshot(cell, self.balances[cell], now, rng)
        if kind == "tutors":
            tutor = self._pick(self.population.tutors, rng)
            return "tutor_availability_updated", behaviour.availability(rng, tutor)
        student = self._pick([s for s in self._coming if s.reports_health], rng)
        score = student.manner.health + rng.gauss(0, 1.5)
        week = round(student.manner.weekly)
        return "customer_health_update", behaviour.health_update(student, score, week, round(week * 4.3), 0)

    def _pick(self, things: Any, rng: Random) -> Any:
        while True:
            thing = rng.choice(things)
            if (thing if isinstance(thing, tuple) else thing.id) not in self._spared:
                return thing

    def _make(self, now: datetime) -> dict[str, Any]:
        event_type, payload = self._draft(now)
        number, self.steps = self.steps, self.steps + 1
        return envelope.event(f"{self.run}-{number:07d}", event_type, envelope.to_us(now), payload)

    def _draft(self, now: datetime) -> Draft:
        if self._queue:
            return self._queue.popleft()
        act = ACTS.get(self.scenario.name)
        if act is not None and self._rng.random() < self.scenario.share:
            draft = act(self, now, self._rng)
            if draft is not None:
                return draft
        stream = self._streams[self.steps % len(self._streams)]
        stream.wait -= 1
        if stream.wait < 0:
            self._turn(stream, now)
            if self._queue:
                return self._queue.popleft()
        kinds = [(k, w) for k, w in _BACKGROUND if (self.scenario.name, k) != ("market_silence", "market")]
        kind = stream.rng.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        return self.background(now, kind, stream.rng)

    def _turn(self, stream: _Stream, now: datetime) -> None:
        """Ends the session of a stream, or begins one if somebody would at this hour."""
        if stream.session is not None:
            self._end(stream)
            return
        student = stream.rng.choice(self._coming)
        if stream.rng.random() >= self._pace * max(QUIETEST, intensity(student.region, now)):
            return
        if student.id in self._busy or student.id in self._spared:
            return
        subject = stream.rng.choice(student.subjects)
        tutor = behaviour.pick_tutor(stream.rng, self.population, student, subject, student.manner.loyal)
        stream.session = behaviour.session(stream.rng, self.name_of("ses"), student, tutor, subject)
        stream.wait = stream.rng.randint(2, 6)
        self._busy.add(student.id)
        self._queue.append(("session_started", stream.session))

    def _end(self, stream: _Stream) -> None:
        begun, stream.session = stream.session, None
        assert begun is not None
        rng, student = stream.rng, self._by_id[begun["student_id"]]
        tutor, manner = self.population.tutor(begun["tutor_id"]), student.manner
        self._busy.discard(student.id)
        ended = behaviour.outcome(rng, begun, manner.rating + tutor.bias, manner.cancel, manner.no_show)
        self._queue.append(("session_completed", ended))
        # One call per student and run: a stream that is left on must not turn calm families into frequent callers.
        if rng.random() < 0.06 and student.id not in self._called:
            self._called.add(student.id)
            payload = behaviour.call(rng, f"sim_call_{begun['session_id'][8:]}", student, tutor.id, True)
            self._queue.append(("ib_call_logged", payload))


def live(
    scenario: str,
    seed: int,
    start: datetime,
    streams: int = 50,
    speed: float = 1.0,
    rate: float = DEFAULT_RATE,
) -> Iterator[dict[str, Any]]:
    """An endless stream from `start` on, `rate * speed` events per second of event time, in event-time order.

    (In `chaos_delivery` order and uniqueness are what is broken on purpose.)
    """
    if not rate > 0 or not speed > 0:
        raise ValueError("rate and speed must be above zero")
    running = LiveMarket(seed, start, scenario, streams)
    step = 0
    while True:
        yield running.step(start + timedelta(seconds=step / (rate * speed)))
        step += 1
