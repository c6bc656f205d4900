"""Building a stage again in another region from the copy of its archive. Every part may be done again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from backend.domain.errors import Unavailable
from backend.runtime import aws_stage
from backend.runtime.aws_people import GIVEN, NAME
from backend.runtime.aws_stage import Clients

_HOUR = re.compile(r"raw/year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)/")
ROUNDS, PAUSE_S = 10, 15  # rules wait up to a minute after a past has come in, and judge with the next sweep
NO_PEOPLE = "the copy holds no file of what people did: the stage that was lost was older, or nobody had done anything"
CAME = (
    "limits",
    "credentials",
    "views",
    "labels",
    "applied",
)  # counts of what a round brought, the others are of how it stands
Say = Callable[[str], None]


def promote(client: Clients, stage: str, copy: str, since: str, say: Say) -> dict[str, int]:
    """Bring the copy of the archive into the stage's own and take it all in, hour by hour from `since` (ISO 8601) on.

    Raises Unavailable where the stage is not deployed in this region, or when a part fails: then it goes on from there.
    """
    own = archive_of(client, stage)
    found = {"files": 0, "events": 0, "folded": 0}
    for hour, names in hours(client("s3"), copy):
        if hour < since[:13]:
            continue
        for name in names:
            client("s3").copy_object(Bucket=own, Key=name, CopySource={"Bucket": copy, "Key": name})
        # To the end of the hour, and not into the next one.
        end = datetime.fromisoformat(f"{hour}:00:00+00:00") + timedelta(minutes=59)
        order = {"from": f"{hour}:00:00Z", "to": f"{end:%Y-%m-%dT%H:%M}:00Z"}
        done = aws_stage.call(client, f"iops-{stage}-replay", order)
        found = {key: found[key] + done[key] for key in found}
        say(f"{hour}:00 {done['events']} events, {done['folded']} of them new")
    return found


def people(
    client: Clients, stage: str, copy: str, say: Say, *, wait: Callable[[float], None] | None = time.sleep
) -> dict[str, int] | None:
    """Bring what people did and have it taken over, again once the rules have judged what came in; what function replay answers.

    Alerts of which rules have not spoken here are `left`. None where the copy holds nothing of people. Without `wait` nothing is
    waited for. The file is removed again: nobody who is forgotten later shall be in it.
    """
    s3, own = client("s3"), archive_of(client, stage)
    if not s3.list_objects_v2(Bucket=copy, Prefix=NAME).get("Contents"):
        return None
    s3.copy_object(Bucket=own, Key=GIVEN, CopySource={"Bucket": copy, "Key": NAME})
    try:
        found = _take_over(client, stage)
        for _ in range(ROUNDS):
            if found["judged"] or wait is None:
                break
            _sweep(client, stage, say)
            wait(PAUSE_S)
            found = both(found, _take_over(client, stage))
    finally:
        s3.delete_object(Bucket=own, Key=GIVEN)
    return found


def both(first: dict[str, int] | None, then: dict[str, int]) -> dict[str, int]:
    """What two rounds brought together; how it stands is as the second says."""
    if first is None:
        return then
    added = {name: first[name] + then[name] for name in CAME}
    return then | added | {"known": then["known"] - first["applied"]}


def _take_over(client: Clients, stage: str) -> dict[str, int]:
    return aws_stage.call(client, f"iops-{stage}-replay", {"people": True})


def words(found: dict[str, int] | None) -> Iterator[str]:
    """What came back of what people did, and what waits."""
    if found is None:
        yield NO_PEOPLE
        return
    came = ", ".join(f"{found[name]} {name}" for name in ("limits", "credentials", "views", "labels"))
    yield f"{found['applied']} alerts are as people left them again, {found['known']} were so already; {came}"
    if found["kept"]:
        yield f"{found['kept']} alerts stay as somebody wants them here"
    if found["over"]:
        yield f"{found['over']} alerts that people had ended may open again: their quiet time is over"
    if found["left"] or not found["judged"]:
        yield f"{found['left']} alerts wait: their rules have not spoken here. Run it again later, with --people or with --since"


def archive_of(client: Clients, stage: str) -> str:
    """The bucket of the stage's archive. Raises Unavailable where the stage is not deployed in this region."""
    told = aws_stage.outputs(aws_stage.stacks(client, stage))
    if "ArchiveBucket" not in told:
        raise Unavailable(f"stage {stage} is not deployed in this region")
    return told["ArchiveBucket"]


def _sweep(client: Clients, stage: str, say: Say) -> None:
    """Let the stage judge; its own sweep of the minute may be at it just now, which is as good."""
    try:
        aws_stage.call(client, f"iops-{stage}-sweep", {})
    except Unavailable as error:
        say(f"{error}; it runs by itself every minute")


def hours(s3: Any, bucket: str) -> Iterator[tuple[str, list[str]]]:
    """(hour as 2026-11-01T09, names of its files) of an archive, in order of time."""
    hour, names = "", list[str]()
    more: dict[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Prefix="raw/", **more)
        for entry in page.get("Contents", ()):
            at = _HOUR.match(entry["Key"])
            if at is None:
                continue
            this = f"{at[1]}-{at[2]}-{at[3]}T{at[4]}"
            if this != hour and names:
                yield hour, names
                names = []
            hour = this
            names.append(entry["Key"])
        if not page.get("IsTruncated"):
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    if names:
        yield hour, names
