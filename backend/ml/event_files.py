"""Histories from files of events: NDJSON as `iops export events` writes it, compressed or not, as the archive in S3 keeps it."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from backend.domain.events import Event
from backend.domain.parsing import parse
from backend.domain.predictions import ENTITY_TYPES
from backend.domain.times import to_us
from backend.ml.history import as_mapping
from backend.ml.train_run import Source
from backend.ml.training_table import Histories

ENDINGS = (".ndjson", ".ndjson.gz")


def source_of(files: Iterable[tuple[str, bytes]], name: str) -> Source:
    """Histories from (file name, content); an event that stands in several files counts once.

    ValueError, with the file and line, for a line that is no event, and when there is none at all.
    """
    by_entity: dict[str, dict[str, list[dict[str, Any]]]] = {kind: defaultdict(list) for kind in ENTITY_TYPES}
    seen: set[str] = set()
    first, last = None, None
    for file, content in files:
        for number, line in enumerate(_lines(file, content), 1):
            event = _event(line, f"{file} line {number}")
            if event.event_id in seen:
                continue
            seen.add(event.event_id)
            known = as_mapping(event)
            for kind, entity_id in (("student", event.student_id), ("tutor", event.tutor_id)):
                if entity_id is not None:
                    by_entity[kind][entity_id].append(known)
            at = known["occurred_at"]
            first, last = min(first or at, at), max(last or at, at)
    if first is None or last is None:
        raise ValueError(f"there is no event in {name}; files end in {' or '.join(ENDINGS)}")

    def histories(entity_type: str) -> Histories:
        return sorted(by_entity[entity_type].items())

    return Source(name, first, last, histories)


def _lines(file: str, content: bytes) -> list[bytes]:
    try:
        return (gzip.decompress(content) if file.endswith(".gz") else content).splitlines()
    except (OSError, EOFError) as error:
        raise ValueError(f"{file} cannot be unpacked: {error}") from error


def _event(line: bytes, place: str) -> Event:
    try:
        item = json.loads(line)
        received = datetime.fromisoformat(item.get("received_at") or item["occurred_at"])
        event = parse(item, to_us(received)).event
    except Exception as error:  # whatever is wrong with a line, the place is what helps
        raise ValueError(f"{place} is no event: {error}") from error
    return event
