"""Many senders at once, each on a connection of its own that stays open: everybody is answered and nothing is lost."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from tests.journeys.conftest import KEY, Running


def request_of(bodies: list[str]) -> bytes:
    """One POST of these events."""
    body = f"[{','.join(bodies)}]".encode() if len(bodies) > 1 else bodies[0].encode()
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def event_of(stream: int, number: int) -> str:
    name = f"s{stream}-{number}"
    payload = {"call_id": name, "student_id": f"student-{stream}", "reason": "billing_question"}
    return json.dumps({"event_type": "ib_call_logged", "event_id": name, "payload": payload})


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    return int(head[9:12]), head.lower(), await reader.readexactly(length)


async def stream(port: int, number: int, posts: int, opened: asyncio.Barrier) -> list[int]:
    """One sender: connects, waits until all have, then posts one event after the other on that connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await opened.wait()
    statuses = []
    for n in range(posts):
        writer.write(request_of([event_of(number, n)]))
        statuses.append((await answer_of(reader))[0])
    writer.close()
    return statuses


@pytest.mark.parametrize("senders", [50, 200])
def test_many_streams_at_once_lose_nothing(fresh: Running, senders: int) -> None:
    posts = 10

    async def run() -> list[list[int]]:
        opened = asyncio.Barrier(senders)
        work = (stream(fresh.port, i, posts, opened) for i in range(senders))
        return await asyncio.wait_for(asyncio.gather(*work), 60)

    statuses = [status for one in asyncio.run(run()) for status in one]
    assert Counter(statuses) == {202: senders * posts}
    fresh.settle()
    assert fresh.get("/v1/freshness").json()["total_events"] == senders * posts
    assert fresh.get("/v1/entities/student?limit=1").json()["total"] == senders
    last = fresh.get(f"/v1/entities/student/student-{senders - 1}").json()
    assert last["metrics"]["ib_calls_7d"] == posts


def test_a_burst_of_four_thousand_events_is_taken_or_told_to_come_back(fresh: Running) -> None:
    connections, each = 64, 63  # 4,032 events, all requests written before any answer is read

    async def burst() -> list[tuple[int, bytes, list[str]]]:
        pairs = [await asyncio.open_connection("127.0.0.1", fresh.port) for _ in range(connections)]
        sent = [[event_of(i, n) for n in range(each)] for i in range(connections)]
        for (_, writer), events in zip(pairs, sent, strict=True):
            writer.write(request_of(events))
        answers = await asyncio.wait_for(asyncio.gather(*(answer_of(reader) for reader, _ in pairs)), 60)
        for _, writer in pairs:
            writer.close()
        return [(status, head, events) for (status, head, _), events in zip(answers, sent, strict=True)]

    answers = asyncio.run(burst())
    taken = sum(len(events) for status, _, events in answers if status == 202)
    for status, head, _ in answers:
        assert status == 202 or (status == 503 and b"retry-after:" in head)
    assert taken > 0
    fresh.settle()
    assert fresh.get("/v1/freshness").json()["total_events"] == taken
