"""Load for the front door: many keep-alive connections, one new event a request, as fast as it answers.

`wrk` where it is installed; else a small client on asyncio, which costs more CPU itself and so measures less than the server can do.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import share
from tests.benchmarks.running import KEY

_LUA = """
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-API-Key"] = "%s"
function request()
  n = n + 1
  return wrk.format(nil, nil, nil, string.format('{"event_type":"session_completed","event_id":"%s-%%d","payload":{"session_id":"%s-%%d",' ..
    '"student_id":"stu_%%d","tutor_id":"tut_%%d","subject":"algebra","region":"west","rating":5}}', n, n, n %% 5000, n %% 400))
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT {"answered":%%d,"refused":%%d,"broken":%%d,"us":%%d,"p50":%%d,"p99":%%d}\\n', summary.requests,
    e.status, e.connect + e.read + e.write + e.timeout, summary.duration, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Load:
    """What came back. `accepted`: answers of 2xx; latencies in milliseconds."""

    accepted: int
    refused: int
    broken: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds


def run(port: int, connections: int, seconds: int, name: str) -> Load:
    """Load for `seconds`; `name` makes the event ids of this run its own."""
    wrk = shutil.which("wrk")
    if wrk:
        return _wrk(wrk, port, connections, seconds, name)
    print("  no wrk on this machine: the load comes from a slower client in Python")
    return asyncio.run(_own(port, connections, seconds, name))


def _wrk(wrk: str, port: int, connections: int, seconds: int, name: str) -> Load:
    with tempfile.TemporaryDirectory() as work:
        script = Path(work) / "events.lua"
        script.write_text(_LUA % (KEY, name, name))
        command = [
            wrk,
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--timeout",
            "10s",
            "--latency",
            "-s",
            str(script),
        ]
        url = f"http://127.0.0.1:{port}/v1/events"
        said = subprocess.run(
            [*command, url], capture_output=True, text=True, timeout=seconds + 30, check=True
        ).stdout
    line = next(line for line in said.splitlines() if line.startswith("RESULT "))
    found = json.loads(line.removeprefix("RESULT "))
    return Load(
        accepted=found["answered"] - found["refused"],
        refused=found["refused"],
        broken=found["broken"],
        seconds=found["us"] / 1e6,
        p50_ms=found["p50"] / 1_000,
        p99_ms=found["p99"] / 1_000,
    )


async def _own(port: int, connections: int, seconds: int, name: str) -> Load:
    times: list[float] = []
    refused = broken = 0
    began = time.perf_counter()
    end = began + seconds

    async def sender(place: int) -> None:
        nonlocal refused, broken
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        n = 0
        try:
            while (sent := time.perf_counter()) < end:
                n += 1
                writer.write(_request(f"{name}-{place}-{n}", n))
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                length = next(
                    part for part in head.lower().split(b"\r\n") if part.startswith(b"content-length")
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                if head.startswith(b"HTTP/1.1 202"):
                    times.append((time.perf_counter() - sent) * 1_000)
                else:
                    refused += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            broken += 1
        finally:
            writer.close()

    await asyncio.gather(*(sender(place) for place in range(connections)))
    took = time.perf_counter() - began
    return Load(len(times), refused, broken, took, share(times or [0.0], 0.5), share(times or [0.0], 0.99))


def _request(identity: str, n: int) -> bytes:
    payload = {
        "session_id": identity,
        "student_id": f"stu_{n % 5000}",
        "tutor_id": f"tut_{n % 400}",
        "subject": "algebra",
    }
    body = json.dumps(
        {"event_type": "session_completed", "event_id": identity, "payload": payload | {"region": "west"}}
    ).encode()
    return (
        b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nX-API-Key: %b\r\nContent-Length: %d\r\n\r\n"
        % (KEY.encode(), len(body))
    ) + body
