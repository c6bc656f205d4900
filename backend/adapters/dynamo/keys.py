"""Where things live in DynamoDB: pure functions from what a thing is to its PK and SK, and the shapes of the tables.

Table `events`, whose stream feeds the processor:
    EVT#<event id>            EVT                 an accepted event: digest and body; goes after its life as a marker

Table `state`, whose stream carries the change feed:
    STEP#<thousand>           <number>            one unit of work: a batch of events in order of arrival, or a sweep; goes with the hours
    META                      META                how far steps are done, head of the change feed, totals
    ENT#<kind>#<shard>        <id>                profile, list columns, living alerts of an entity
    BKT#<kind>#<id>           <hour>              counters of one hour, and the steps that hold its events; kind "log": every event
    RCV                       <minute>            the steps that hold what was received in that minute
    LNK#<shard>               <digest>            who learns what with whom
    MKT#<subject>|<region>    <time>#<event id>   supply and demand as reported
    SER#<source>#<name>       <time>#<event id>   numeric samples
    ALERT#<alert id>          ALERT, AUDIT#<n>    an alert and what happened to it
    CHG#<thousand>            <number>            the change feed
    PAIR#<kind>#<shard>       <id>                what two models say of an entity while one is tried
    DOC#<key>, TALLY, REJ     ...                 documents, counts by day, refused items
    ASIDE                     <time>#<digest>     refused items that were accepted and could not be folded
    SERIES                    <digest>            a numeric series; its detector is DET#<digest>
    INS#<insight id>          INS                 an explanation; INSE#, INSK#, FACTS#, VERDICT and ALERT#, INS point to it
    LLM                       <time>              what language models used on a day
    KEYS                      <key id>            credentials, as digests
    LEASE#<name>              LEASE               which process may do what only one may do at a time
    IDEM#, IMPORT#            ...                 answers of repeated requests, progress of imports

Table `connections`:
    CONN#<shard>              <connection id>     an open WebSocket
    TICKET#<digest>           TICKET              the right to open one


Index `status` (GP, GS): alerts by status and severity, then time. Index `due` (DP, DS): entities by when their scores age.
Index `rank` (RP, RS): students by displayed health in bands, sharded; spread over shards so that no partition is hot.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from zlib import crc32

from backend.domain.times import HOUR, MINUTE
from backend.domain.windows import ENTITY_TYPES

Key = tuple[str, str]  # (PK, SK)

# How many partitions the entities of a kind are spread over: those that grow with the business get more.
SHARDS = {"student": 8, "tutor": 8, "cell": 2, "subject": 1, "region": 1, "all": 1, "system": 1}
LINK_SHARDS = 8
DUE_SHARDS = 4
RANK_POINTS = 10
KINDS = ENTITY_TYPES
META: Key = ("META", "META")
_MAX_SORT_BYTES = 900  # DynamoDB allows 1,024 for a sort key; times stand before the text


def bounded(text: str, limit: int = _MAX_SORT_BYTES) -> str:
    """The text, or as much of it as fits followed by a digest of all of it."""
    raw = text.encode()
    if len(raw) <= limit:
        return text
    return raw[: limit - 33].decode(errors="ignore") + "#" + blake2b(raw, digest_size=16).hexdigest()


def shard_of(text: str, shards: int) -> int:
    """The same shard for the same text in every process and version."""
    return crc32(text.encode()) % shards


def event_key(event_id: str) -> Key:
    return f"EVT#{bounded(event_id, 2_000)}", "EVT"


def step_key(number: int) -> Key:
    return f"STEP#{number // 1000:09d}", f"{number:012d}"


def entity_key(kind: str, entity_id: str) -> Key:
    return entity_partition(kind, shard_of(entity_id, SHARDS[kind])), entity_id


def entity_partition(kind: str, shard: int) -> str:
    return f"ENT#{kind}#{shard}"


def entity_partitions(kind: str) -> list[str]:
    """Every partition that holds entities of the kind."""
    return [entity_partition(kind, shard) for shard in range(SHARDS[kind])]


def bucket_partition(kind: str, entity_id: str) -> str:
    return f"BKT#{kind}#{entity_id}"


def hour_sort(us: int) -> str:
    """Sort key of the hour that contains the moment."""
    return f"{us // HOUR:09d}"


def minute_key(us: int) -> Key:
    return "RCV", f"{us // MINUTE:011d}"


def link_key(link: tuple[str, str, str, str]) -> Key:
    """(student, tutor, subject, region); all links of a student share a shard."""
    digest = blake2b("\0".join(link).encode(), digest_size=16).hexdigest()
    return f"LNK#{shard_of(link[0], LINK_SHARDS)}", digest


def link_partitions() -> list[str]:
    return [f"LNK#{shard}" for shard in range(LINK_SHARDS)]


def market_partition(cell: str) -> str:
    return f"MKT#{cell}"


def sample_partition(source: str, name: str) -> str:
    return f"SER#{bounded(source)}#{bounded(name)}"


def time_sort(us: int, name: str = "") -> str:
    """Sort key by time, ties by name. With an empty name it sorts before everything at that time."""
    return f"{us:017d}#{bounded(name)}"


def alert_key(alert_id: str) -> Key:
    return f"ALERT#{alert_id}", "ALERT"


def audit_key(alert_id: str, number: int) -> Key:
    return f"ALERT#{alert_id}", f"AUDIT#{number:08d}"


def status_partition(status: str, severity: str) -> str:
    return f"STATUS#{status}#{severity}"


def change_key(number: int) -> Key:
    return f"CHG#{number // 1000:09d}", f"{number:012d}"


def document_key(key: str) -> Key:
    return f"DOC#{bounded(key)}", "DOC"


def due_keys(kind: str, entity_id: str, refresh_us: int) -> Key:
    """Keys of the index `due`: by the moment at which what is kept of an entity is too old."""
    return f"DUE#{shard_of(entity_id, DUE_SHARDS)}", time_sort(refresh_us, f"{kind}#{entity_id}")


def due_partitions() -> list[str]:
    return [f"DUE#{shard}" for shard in range(DUE_SHARDS)]


def rank_keys(kind: str, entity_id: str, health: float) -> Key:
    """Keys of the index `rank`: bands of RANK_POINTS, so that the index is written only when a score really moves."""
    return (
        f"RANK#{kind}#{shard_of(entity_id, SHARDS[kind])}",
        f"{int(health) // RANK_POINTS * RANK_POINTS:03d}#{entity_id}",
    )


def rank_partitions(kind: str) -> list[str]:
    return [f"RANK#{kind}#{shard}" for shard in range(SHARDS[kind])]


INDEXES = {"status": ("GP", "GS"), "due": ("DP", "DS"), "rank": ("RP", "RS")}


TTL_ATTRIBUTE = "ttl"  # seconds since 1970, in every table


def table_definition(name: str) -> dict[str, Any]:
    """Arguments of CreateTable for `state`; what the stacks define in their own words must be equal to this."""
    indexes = [
        {"IndexName": index, "KeySchema": _schema(*pair), "Projection": {"ProjectionType": "KEYS_ONLY"}}
        for index, pair in INDEXES.items()
    ]
    keys = ("PK", "SK", *(part for pair in INDEXES.values() for part in pair))
    return {**_plain(name, keys), "GlobalSecondaryIndexes": indexes, "StreamSpecification": _STREAM}


def events_table_definition(name: str) -> dict[str, Any]:
    """Arguments of CreateTable for `events`: apart from `state`, so that no stream has more than two readers."""
    return {**_plain(name), "StreamSpecification": _STREAM}


def connections_table_definition(name: str) -> dict[str, Any]:
    """Arguments of CreateTable for `connections`; nobody follows it."""
    return _plain(name)


_STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}


def _plain(name: str, keys: tuple[str, ...] = ("PK", "SK")) -> dict[str, Any]:
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": part, "AttributeType": "S"} for part in keys],
        "KeySchema": _schema("PK", "SK"),
    }


def _schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]
