"""What a person sees, in Chromium over `iops up --demo`: an event until it is on the screen, a filter until it is painted, a first visit.

`python -m tests.benchmarks.bench_screen [--rounds 20]`. The clock of the page and that of this process are the same machine's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import figure, share
from tests.benchmarks.painted import LIMIT_MS, chromium, drawn, filter_figures, sign_in
from tests.benchmarks.running import IOPS, Process, ask, backlog, environ, free_port

SCREEN_MS, DEMO_SECONDS = 1_000, 90.0
SETTLED_SECONDS = (
    75  # after the demo is stored: everybody is scored, every series learned, every open alert explained
)
# The page's policy forbids evaluated strings, so waiting happens inside one function that playwright hands over.
_WATCH = """([text, limit]) => {
  window.seen = new Promise((done) => {
    const began = performance.now();
    const look = () => {
      if (document.getElementById("shell-page").textContent.includes(text)) done(Date.now());
      else if (performance.now() - began > limit) done(null);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}"""
# Notes when the first panel and the first chart are there, up to the frame that shows them.
_NOTE = """() => {
  window.noted = {};
  const look = () => {
    for (const [name, what] of [["data", "#shell-page [data-scope]"], ["chart", "#shell-page .js-plotly-plot .main-svg"]])
      if (!(name in window.noted) && document.querySelector(what))
        window.noted[name] = null, requestAnimationFrame(() => setTimeout(() => (window.noted[name] = performance.now()), 0));
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
}"""
_FIRST = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return { paint: paint ? paint.startTime : null, ...window.noted };
}"""


def event_to_screen(page: Any, api_port: int, rounds: int) -> list[float]:
    """Milliseconds from the start of a POST until the new student's name is in the list; 20 s where it never came."""
    times = []
    for i in range(rounds):
        marker = f"Marker {time.time_ns()}"
        page.evaluate(_WATCH, [marker, LIMIT_MS])
        payload = {"student_id": f"marker_{time.time_ns()}", "student_name": marker, "health_score": 3}
        began = time.time() * 1_000
        event = {"event_type": "customer_health_update", "payload": {**payload, "monthly_value": 900_000 + i}}
        status, body = ask(api_port, "POST", "/v1/events", event)
        if status != 202:
            raise RuntimeError(f"the event was refused: {status} {body[:200]!r}")
        seen = page.evaluate("() => window.seen")
        times.append(seen - began if seen else float(LIMIT_MS))
        page.wait_for_timeout(137 * (i % 7))  # so that posts meet every phase of the once-a-second refresh
    return times


def first_visit(browser: Any, port: int) -> None:
    """Bytes over the wire with an empty cache, first paint, and the first page full of data."""
    page = sign_in(browser, port)  # its cookie; the cache of the second context below is empty
    state = page.context.storage_state()
    context = browser.new_context(viewport={"width": 1440, "height": 900}, storage_state=state)
    fresh = context.new_page()
    wire = context.new_cdp_session(fresh)
    received: list[float] = []
    wire.on("Network.loadingFinished", lambda message: received.append(message["encodedDataLength"]))
    wire.send("Network.enable")
    fresh.add_init_script(f"({_NOTE})()")
    fresh.goto(f"http://127.0.0.1:{port}/")
    drawn(fresh)
    fresh.wait_for_selector("#shell-page .js-plotly-plot .main-svg", state="attached")
    fresh.wait_for_timeout(500)  # the frame after it
    found = fresh.evaluate(_FIRST)
    figure("first visit: over the wire", sum(received) / 1_000, "kB")
    figure("first visit: requests", len(received), "requests")
    figure("first visit: first contentful paint", found["paint"] or float(LIMIT_MS), "ms")
    figure("first visit: panels with data", found["data"] or float(LIMIT_MS), "ms")
    figure("first visit: charts drawn", found["chart"] or float(LIMIT_MS), "ms")
    context.close()
    page.context.close()


def browse(browser: Any, port: int, api_port: int, rounds: int, settled: float) -> None:
    """All figures of a running product; from `settled` (monotonic seconds) on it is no longer busy with its whole past."""
    first_visit(browser, port)
    page = sign_in(browser, port)
    page.goto(f"http://127.0.0.1:{port}/students")
    drawn(page)
    for name in ("event to screen just after the start", "event to screen"):
        times = event_to_screen(page, api_port, rounds)
        figure(f"{name}: p50", share(times, 0.5), "ms", at_most=SCREEN_MS)
        figure(f"{name}: p95", share(times, 0.95), "ms", at_most=SCREEN_MS)
        page.wait_for_timeout(max(0.0, 1_000 * (settled - time.monotonic())))
    filter_figures(page, port, rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print("screen: Chromium over the demo, with its live stream")
    with tempfile.TemporaryDirectory() as work, chromium() as browser:
        if browser is None:
            return 0
        port, api_port = free_port(), free_port()
        command = [*IOPS, "up", "--demo", "--port", str(port), "--api-port", str(api_port)]
        product = Process(command, port, environ(Path(work), api_port, port))
        try:
            deadline = time.monotonic() + DEMO_SECONDS
            while backlog(api_port) > 50 and time.monotonic() < deadline:
                time.sleep(0.1)
            browse(browser, port, api_port, rounds, time.monotonic() + SETTLED_SECONDS)
        finally:
            product.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
