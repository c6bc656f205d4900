"""Building a stage again in another region from the copy of its archive. Every part may be done again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from backend.domain.errors import Unavailable
from backend.runtime import aws_stage
from backend.runtime.aws_archive import GIVEN
from backend.runtime.aws_people import NAME
from backend.runtime.aws_stage import Clients

_HOUR = re.compile(r"raw/year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)/")
ROUNDS, PAUSE_S = 10, 15  # rules wait up to a minute after a past has come in, and judge with the next sweep
NO_PEOPLE = "the copy holds no file of what people did: the stage that was lost was older, or nobody had done anything"
# Counts of what a round brought; the others are of how it stands.
CAME = ("limits", "credentials", "views", "labels", "applied")
Say = Callable[[str], None]


def promote(client: Clients, stage: str, copy: str, since: str, say: Say) -> dict[str, int]:
    """Have the stage take in the copy of an archive, hour by hour from `since` (ISO 8601) on.

    Raises Unavailable where the stage is not deployed in this region, or when a part fails: then it goes on from there.
    """
    own = archive_of(client, stage)
    found = {"files": 0, "events": 0, "folded": 0}
    for hour, names in hours(client("s3"), copy):
        if hour < since[:13]:
            continue
        # To the end of the hour, and not into the next one.
        end = datetime.fromisoformat(f"{hour}:00:00+00:00") + timedelta(minutes=59)
        order = {"from": f"{hour}:00:00Z", "to": f"{end:%Y-%m-%dT%H:%M}:00Z", "given": True}
        with _brought(client("s3"), copy, own, names):
            done = aws_stage.call(client, f"iops-{stage}-replay", order)
        found = {key: found[key] + done[key] for key in found}
        say(f"{hour}:00 {done['events']} events, {done['folded']} of them new")
    return found


def people(
    client: Clients,
    stage: str,
    copy: str,
    say: Say,
    *,
    before: dict[str, int] | None = None,
    wait: Callable[[float], None] | None = time.sleep,
) -> dict[str, int] | None:
    """Bring what people did and have it taken over, again once the rules have judged what came in; what function replay answers.

    Alerts of which rules have not spoken here are `left`. None where the copy holds nothing of people. `before`: of an earlier
    round. Without `wait` nothing is waited for.
    """
    s3, own = client("s3"), archive_of(client, stage)
    if not s3.list_objects_v2(Bucket=copy, Prefix=NAME).get("Contents"):
        return None
    with _brought(s3, copy, own, [NAME]):
        found = both(before, _take_over(client, stage))
        for _ in range(ROUNDS):
            if found["judged"] or wait is None:
                break
            _sweep(client, stage, say)
            wait(PAUSE_S)
            found = both(found, _take_over(client, stage))
    return found


def both(first: dict[str, int] | None, then: dict[str, int]) -> dict[str, int]:
    """What two rounds brought together; how it stands is as the second says."""
    if first is None:
        return then
    added = {name: first[name] + then[name] for name in CAME}
    return then | added | {"known": then["known"] - first["applied"]}


def words(found: dict[str, int] | None) -> Iterator[str]:
    """What came back of what people did, and what waits."""
    if found is None:
        yield NO_PEOPLE
        return
    came = ", ".join(f"{name} {found[name]}" for name in CAME[:-1])
    yield f"alerts as people left them: {found['applied']} now, {found['known']} before; {came}"
    if found["kept"]:
        yield f"alerts that stay as somebody wants them here: {found['kept']}"
    if found["over"]:
        yield f"alerts that people had ended, with a quiet time that is over: {found['over']}"
    if found["left"]:
        yield f"alerts that wait until their rules speak here: {found['left']}; run this again later (--people, or --since)"


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


@contextmanager
def _brought(s3: Any, copy: str, own: str, names: Sequence[str]) -> Iterator[None]:
    """What lies in the copy under these names is in the stage's own archive meanwhile, apart from what the stage itself writes."""
    try:
        for name in names:
            s3.copy_object(Bucket=own, Key=GIVEN + name, CopySource={"Bucket": copy, "Key": name})
        yield
    finally:
        for name in names:
            s3.delete_object(Bucket=own, Key=GIVEN + name)


def _take_over(client: Clients, stage: str) -> dict[str, int]:
    return aws_stage.call(client, f"iops-{stage}-replay", {"people": True})


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
