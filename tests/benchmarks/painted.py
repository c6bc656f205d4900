"""A headless Chromium in front of the dashboard: signed in, timed inside the page from the click to the painted frame."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.figures import figure, share
from tests.benchmarks.running import TOKEN

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
LIMIT_MS = 20_000
FILTER_MS = 400  # the target
# Which filter is changed on which page, to which values in turn; None takes it away.
CHANGES: tuple[tuple[str, str, list[str | None]], ...] = (
    ("/", "region", ["west", "midwest", None]),
    ("/students", "subject", ["physics", "algebra", None]),
    ("/calls", "region", ["west", "midwest", None]),
    ("/supply", "subject", ["physics", "algebra", None]),
    ("/alerts", "range", ["7d", "30d", None]),
)
DRAWN_MS = 60_000  # a busy machine may take long to start a page; that is a slow figure, not a broken run
# Milliseconds from a changed address until every panel says that it was computed for it and a frame was drawn.
_CHANGE = """async ([kind, value, limit]) => {
  const place = ["student", "tutor", "subject", "region", "range"].indexOf(kind), began = performance.now();
  const wanted = value || (kind === "range" ? "24h" : "");
  window.iops.change({ [kind]: value });
  return await new Promise((done) => {
    const look = () => {
      const panels = [...document.querySelectorAll("#shell-page [data-scope]")];
      const ready = panels.length && panels.every((p) => p.dataset.scope.split("|")[place] === wanted && !p.classList.contains("updating"));
      if (ready) requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0));
      else if (performance.now() - began > limit) done(null);
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser, or None (said aloud) where there is none."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        print("  no Chromium on this machine: nothing measured in a browser")
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def sign_in(browser: Any, port: int) -> Any:
    """A page of a new visitor who has come in by the address with the token."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(LIMIT_MS)
    page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}")
    drawn(page)
    return page


def drawn(page: Any) -> None:
    """Wait until the page's panels are there."""
    page.wait_for_selector("#shell-page [data-scope]", state="attached", timeout=DRAWN_MS)


def filter_changes(
    page: Any, port: int, path: str, kind: str, values: list[str | None], rounds: int
) -> tuple[list[float], float]:
    """Milliseconds from each change of a filter to its painted page (over 20 s count as 20 s), and those a change cost the browser."""
    page.goto(f"http://127.0.0.1:{port}{path}")
    drawn(page)
    page.evaluate(_CHANGE, [kind, values[0], LIMIT_MS])  # the first one also warms caches
    wanted = [values[i % len(values)] for i in range(1, rounds + 1)]
    wire = page.context.new_cdp_session(page)
    wire.send("Performance.enable")
    before = _task_ms(wire)
    times = [page.evaluate(_CHANGE, [kind, value, LIMIT_MS]) or LIMIT_MS for value in wanted]
    return times, (_task_ms(wire) - before) / rounds


def filter_figures(page: Any, port: int, rounds: int) -> None:
    """p50 and p95 of filter changes on each page of CHANGES, and what they cost the browser; a page that fails is said, not fatal."""
    from playwright.sync_api import Error

    for path, kind, values in CHANGES:
        try:
            times, worked = filter_changes(page, port, path, kind, values, rounds)
        except Error as error:
            print(f"  filter to painted, {path}: not measured: {str(error).splitlines()[0]}", flush=True)
            continue
        figure(f"filter to painted, {path}: p50", share(times, 0.5), "ms")
        figure(f"filter to painted, {path}: p95", share(times, 0.95), "ms", at_most=FILTER_MS)
        figure(f"filter to painted, {path}: the browser's own work", worked, "ms each")


def _task_ms(wire: Any) -> float:
    """How long the page's main thread has worked so far."""
    found = wire.send("Performance.getMetrics")["metrics"]
    return next(1_000 * metric["value"] for metric in found if metric["name"] == "TaskDuration")
