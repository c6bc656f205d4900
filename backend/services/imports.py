"""`iops import`: history from CSV or NDJSON into the log, resumable, every refused row reported with its line and reason.

Progress is saved in the transaction that appends the events: killed at any moment and started again, an import goes on
where it stood. Event ids come from the mapping, so that running it twice adds nothing.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from backend.domain.errors import InvalidEvent, Rejected
from backend.domain.parsing import Parsed, parse
from backend.services.mapping import Item, Mapper, Mapping, Row, load_mapping, table_of

BATCH_ITEMS = 5_000
KEPT_REFUSALS = 1_000


class Refusal(msgspec.Struct, frozen=True):
    """A row that gave no event: its line in the file (the header is line 1) and why."""

    line: int
    reason: str


class Report(msgspec.Struct):
    """Where an import stands. `rows` counts rows read; one event may come of several rows."""

    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    refusals: list[Refusal] = []
    first_us: int | None = None
    last_us: int | None = None


class ImportStore(Protocol):
    """What an import needs of the store."""

    def import_progress(self, path: str) -> tuple[str, bytes] | None: ...

    def append_import(
        self, path: str, digest: str, entries: list[Parsed], report: Callable[[list[str]], bytes], at_us: int
    ) -> None: ...


def run(
    store: ImportStore | None,
    file: Path,
    mapping_file: Path,
    *,
    clock: Callable[[], int],
    progress: Callable[[Report, float], Any] = lambda report, share: None,
) -> Report:
    """Import a file; `store` None only checks it. `progress` gets the report and the share of bytes read after each batch.

    Raises Rejected when the file, the mapping or a look-up table cannot be read, or the file changed since it was begun.
    """
    mapping = load_mapping(_text(mapping_file))
    mapper = Mapper(mapping, _tables(mapping, mapping_file.parent, file.parent))
    name, digest = str(file.resolve()), _digest(file, mapping_file)
    report = _resumed(store, name, digest)
    skip = report.rows
    size = max(1, file.stat().st_size)
    pending: list[Item] = []
    with file.open("rb") as raw:
        for line, row in rows_of(raw, file.name):
            pending += (item for item in mapper.feed(line, row) if item.row > skip)
            if len(pending) >= BATCH_ITEMS:
                ready = [item for item in pending if item.row <= mapper.settled]
                pending = [item for item in pending if item.row > mapper.settled]
                _flush(store, (name, digest), ready, report, mapper.settled, clock())
                progress(report, raw.tell() / size)
    pending += (item for item in mapper.finish() if item.row > skip)
    _flush(store, (name, digest), pending, report, mapper.settled, clock())
    progress(report, 1.0)
    return report


def _flush(
    store: ImportStore | None,
    identity: tuple[str, str],
    items: list[Item],
    report: Report,
    rows: int,
    at_us: int,
) -> None:
    """Append the events of these items together with the report that counts them, and the row to go on from."""
    entries = [parsed for item in items if (parsed := _judge(item, report, at_us)) is not None]

    def counted(verdicts: list[str]) -> bytes:
        report.rows = max(report.rows, rows)
        report.accepted += verdicts.count("accepted")
        report.duplicates += verdicts.count("duplicate")
        report.conflicts += verdicts.count("conflict")
        for entry in entries:
            at = entry.event.occurred_us
            report.first_us = at if report.first_us is None else min(report.first_us, at)
            report.last_us = at if report.last_us is None else max(report.last_us, at)
        return msgspec.json.encode(report)

    if store is None:
        counted(["accepted"] * len(entries))
    else:
        store.append_import(*identity, entries, counted, at_us)


def _judge(item: Item, report: Report, at_us: int) -> Parsed | None:
    reason = item.reason
    if item.item is not None:
        try:
            return parse(item.item, at_us)
        except InvalidEvent as error:
            reason = str(error)
    report.refused += 1
    if len(report.refusals) < KEPT_REFUSALS:
        report.refusals.append(Refusal(item.line, reason or "refused"))
    return None


def _resumed(store: ImportStore | None, name: str, digest: str) -> Report:
    found = store.import_progress(name) if store is not None else None
    if found is None:
        return Report()
    if found[0] != digest:
        return (
            Report()
        )  # another content under the same name: begin anew, event ids keep it from counting twice
    return msgspec.json.decode(found[1], type=Report)


def rows_of(raw: BinaryIO, name: str) -> Iterator[tuple[int, Row]]:
    """(line, row) of a CSV or NDJSON file, gzip or plain. Raises Rejected when the file is neither."""
    stream: Any = gzip.GzipFile(fileobj=raw) if name.endswith(".gz") else raw
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    plain = name.removesuffix(".gz")
    try:
        if plain.endswith(".csv"):
            yield from enumerate(csv.DictReader(text), start=2)
        elif plain.endswith((".ndjson", ".jsonl")):
            for line, content in enumerate(text, start=1):
                if content.strip():
                    yield line, _object(content, line)
        else:
            raise Rejected(f"{name}: the name must end in .csv, .ndjson or .jsonl (or one of these with .gz)")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise Rejected(f"{name} cannot be read: {error}") from error


def _object(content: str, line: int) -> Row:
    try:
        found = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise Rejected(f"line {line} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Rejected(f"line {line} must be a JSON object")
    return found


def _tables(mapping: Mapping, *folders: Path) -> dict[str, dict[str, Row]]:
    found = {}
    for name, lookup in mapping.lookup.items():
        path = next((folder / lookup.file for folder in folders if (folder / lookup.file).exists()), None)
        if path is None:
            raise Rejected(f"look-up {name}: {lookup.file} is neither beside the mapping nor beside the file")
        with path.open("rb") as raw:
            found[name] = table_of((row for _, row in rows_of(raw, path.name)), lookup.key)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Rejected(f"{path}: {error.strerror}") from error


def _digest(*paths: Path) -> str:
    """Identity of the contents, by their first and last MiB and their sizes: enough to tell a changed file."""
    found = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            with path.open("rb") as raw:
                size = path.stat().st_size
                found.update(str(size).encode() + raw.read(1 << 20))
                raw.seek(max(0, size - (1 << 20)))
                found.update(raw.read())
        except OSError as error:
            raise Rejected(f"{path}: {error.strerror}") from error
    return found.hexdigest()
