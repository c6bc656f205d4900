"""Numeric series (metric_reported): each sample is kept with the anomaly score it had when it was folded.

A detector is large beside a sample, so it is written every SAVE_EVERY samples; whoever folds next without it in memory reads it
back and shows it the samples since then. `SERIES` holds the last step of each series: a step that is done there is passed over.
"""

from __future__ import annotations

import os
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from backend.adapters.dynamo.items import Item, integer, key_of, keyed, number, pack, unpack
from backend.adapters.dynamo.keys import Key, sample_partition, time_sort
from backend.adapters.dynamo.log import expires, later_of
from backend.adapters.dynamo.table import Table
from backend.domain.events import Event
from backend.domain.times import from_us

if TYPE_CHECKING:
    from backend.domain.anomaly import Detector

SAVE_EVERY = 500  # samples of one series between two writings of its detector
IN_MEMORY = 200  # detectors held at a time, about 100 kB each
FIRST_SAMPLES = 20  # a series gets a detector with its 20th sample: names seen once or twice cost nothing
_SERIES = "SERIES"
_END = "\U0010ffff"

Series = tuple[str, str]  # (source, name)
Sample = tuple[int, str, float]  # (time, event id, value)


class _Judge:
    """A detector, the newest sample it has seen, how many it has seen since it was saved, and the mark of the last step."""

    def __init__(self, detector: Detector, through_us: int) -> None:
        self.detector = detector
        self.through_us = through_us
        self.unsaved = 0
        self.mark = b""

    def score(self, at_us: int, value: float) -> float | None:
        """None for a sample that is older than one already judged."""
        if at_us <= self.through_us:
            return None
        self.through_us = at_us
        self.unsaved += 1
        return self.detector.update(from_us(at_us), value)


class Detectors:
    """One online detector per series. One held in memory is used again only if nobody else has recorded since."""

    def __init__(self) -> None:
        self._held: OrderedDict[Series, _Judge] = OrderedDict()

    def record(self, table: Table, samples: Iterable[Event], step: int, days: int) -> None:
        """Keep the samples of a step with their scores for so many days. Doing it twice writes the same."""
        by_series: defaultdict[Series, list[Event]] = defaultdict(list)
        for event in sorted(samples, key=lambda e: (e.occurred_us, e.event_id)):
            by_series[event.payload["source"], event.payload["name"]].append(event)
        for series, events in by_series.items():
            self._record(table, series, events, step, days)

    def _record(self, table: Table, series: Series, events: Sequence[Event], step: int, days: int) -> None:
        judge: _Judge | None = self._held.pop(series, None)
        known: list[Sample] = []
        last = table.get(_series_key(series)) or {}
        if judge is None or judge.mark != _mark(last):
            state = table.get(_detector_key(series)) or {}
            known = _before(table, series, integer(state, "t"), {event.event_id for event in events})
            # Read after the samples: before this says so, no later step can have written any.
            last = table.get(_series_key(series)) or {}
            if integer(state, "p") < step:
                judge = _restored(state, known)
        if integer(last, "p") >= step:
            return
        items: dict[Key, Item] = {}
        for event in events:
            at_us, value = event.occurred_us, event.payload["value"]
            if judge is None and len(known) >= FIRST_SAMPLES - 1:
                judge = _restored({}, sorted(known))
            item = _sample(series, event, None if judge is None else judge.score(at_us, value), days)
            items.setdefault(key_of(item), item)
            known.append((at_us, event.event_id, value))
        table.write_many(puts=items.values())
        mark = os.urandom(8)
        if judge is not None:
            if judge.unsaved >= SAVE_EVERY:
                _save(table, series, judge, step)
            judge.mark = mark
            self._held[series] = judge
            if len(self._held) > IN_MEMORY:
                self._held.popitem(last=False)
        table.put(keyed(_series_key(series), p=number(step), b=pack(series), o={"B": mark}))


def series_known(table: Table) -> list[Series]:
    """Every series that has a sample."""
    return [tuple(unpack(item["b"])) for item in table.query(_SERIES)]


def keys_of_series(table: Table) -> list[Key]:
    """Where everything of the series is kept: samples, detectors, and the list of series itself."""
    keys = []
    for series in series_known(table):
        keys += [key_of(item) for item in table.query(sample_partition(*series))]
        keys += [_detector_key(series), _series_key(series)]
    return keys


def _mark(last: Item) -> bytes:
    """Which recording of the series came last."""
    return bytes(last["o"]["B"]) if last else b""


def _before(table: Table, series: Series, since_us: int, but: set[str]) -> list[Sample]:
    """Samples after a moment, in order, without those of the step that is being carried out."""
    found = []
    for item in table.query(sample_partition(*series), time_sort(since_us + 1), _END):
        event_id, value, *_ = unpack(item["b"])
        if event_id not in but:
            found.append((int(item["SK"]["S"].partition("#")[0]), event_id, value))
    return found


def _restored(state: Item, known: Sequence[Sample]) -> _Judge | None:
    """The saved detector, or a new one once there are enough samples; the samples since then are shown to it."""
    # Imported only where there are samples to judge: most functions on AWS never need numpy.
    from backend.domain import anomaly

    if not state and len(known) < FIRST_SAMPLES - 1:
        return None
    saved = anomaly.resumed(msgspec.json.decode(unpack(state["b"]))) if state else None
    judge = _Judge(saved or anomaly.detector(), integer(state, "t"))
    for at_us, _, value in known:
        judge.score(at_us, value)
    return judge


def _save(table: Table, series: Series, judge: _Judge, step: int) -> None:
    state = msgspec.json.encode(judge.detector.to_state())
    table.put(keyed(_detector_key(series), p=number(step), t=number(judge.through_us), b=pack(state)))
    judge.unsaved = 0


def _sample(series: Series, event: Event, score: float | None, days: int) -> Item:
    p: dict[str, Any] = event.payload
    key = sample_partition(*series), time_sort(event.occurred_us, event.event_id)
    packed = pack([event.event_id, p["value"], p.get("unit"), score])
    return keyed(key, b=packed, ttl=expires(later_of(event), days))


def _series_key(series: Series) -> Key:
    return _SERIES, _digest(series)


def _detector_key(series: Series) -> Key:
    return f"DET#{_digest(series)}", "DET"


def _digest(series: Series) -> str:
    return blake2b("\0".join(series).encode(), digest_size=16).hexdigest()
