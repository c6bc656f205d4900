"""Taking people who were forgotten out of the archive: the files that hold them are written again without their lines."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable

import msgspec

from backend.adapters.aws.files import Files
from backend.adapters.dynamo.forget import PENDING
from backend.adapters.dynamo.items import integer, key_of, unpack
from backend.adapters.dynamo.store import DynamoStore

_RANGE = re.compile(r"steps-(\d+)-(\d+)\.ndjson\.gz\Z")


def clean(store: DynamoStore, files: Files, prefix_of: Callable[[int], str]) -> int:
    """Work through what is pending; returns how many lines went. What was done before is gone from the list, so a kill is safe.
    `prefix_of`: where an hour's files stand. A step that is not in the archive yet goes there without them: it has been written again already.
    """
    removed = 0
    for item in list(store.table.query(PENDING)):
        number = int(item["SK"]["S"].partition("#")[0])
        ids = set(unpack(item["b"]))
        for name in files.names(prefix_of(integer(item, "h"))):
            found = _RANGE.search(name)
            if found and int(found[1]) <= number <= int(found[2]):
                removed += _rewrite(files, name, ids)
        store.table.delete(key_of(item))
    return removed


def _rewrite(files: Files, name: str, ids: set[str]) -> int:
    lines = gzip.decompress(files.get(name)).splitlines()
    kept = [line for line in lines if msgspec.json.decode(line)["event_id"] not in ids]
    if len(kept) < len(lines):
        content = b"\n".join(kept) + b"\n" if kept else b""
        files.put(name, gzip.compress(content, mtime=0), "application/gzip")
    return len(lines) - len(kept)
