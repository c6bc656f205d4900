"""Building a stage again in another region from the copy of its archive. Every part may be done again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from backend.domain.errors import Unavailable
from backend.runtime import aws_stage
from backend.runtime.aws_stage import Clients

_HOUR = re.compile(r"raw/year=(\d{4})/month=(\d\d)/day=(\d\d)/hour=(\d\d)/")
Say = Callable[[str], None]


def promote(client: Clients, stage: str, copy: str, since: str, say: Say) -> dict[str, int]:
    """Bring the copy of the archive into the stage's own and take it all in, hour by hour from `since` (ISO 8601) on.

    Raises Unavailable where the stage is not deployed in this region, or when a part fails: then it goes on from there.
    """
    told = aws_stage.outputs(aws_stage.stacks(client, stage))
    if "ArchiveBucket" not in told:
        raise Unavailable(f"stage {stage} is not deployed in this region")
    found = {"files": 0, "events": 0, "folded": 0}
    for hour, names in hours(client("s3"), copy):
        if hour < since[:13]:
            continue
        for name in names:
            client("s3").copy_object(
                Bucket=told["ArchiveBucket"], Key=name, CopySource={"Bucket": copy, "Key": name}
            )
        # To the end of the hour, and not into the next one.
        end = datetime.fromisoformat(f"{hour}:00:00+00:00") + timedelta(minutes=59)
        order = {"from": f"{hour}:00:00Z", "to": f"{end:%Y-%m-%dT%H:%M}:00Z"}
        done = aws_stage.call(client, f"iops-{stage}-replay", order)
        found = {key: found[key] + done[key] for key in found}
        say(f"{hour}:00 {done['events']} events, {done['folded']} of them new")
    return found


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
