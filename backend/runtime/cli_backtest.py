"""The command `iops backtest`: what a rule would have done in the last days, with its limits and with others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from backend.domain.limits import adjusted
from backend.domain.times import DAY, HOUR, MINUTE, iso
from backend.domain.wording import percent
from backend.runtime.cli_common import data_dir_option, existing, say
from backend.services import limits, simulation
from backend.services.backtest import Backtest, Outcome, Share, Truth, backtest, require_replayable

_AT_RISK = ("at_risk", "churned")


@click.command("backtest")
@click.option("--rule", "rule_id", required=True, help="Which rule, like high_ib_call_frequency.")
@click.option("--days", type=click.IntRange(1, 365), default=7, show_default=True, help="The last so many.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another limit, repeatable: warning.opens=4, critical.clears=2, quiet_minutes=30.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_dir_option
def command(rule_id: str, days: int, changes: tuple[str, ...], as_json: bool, data_dir: Path | None) -> None:
    """Replay the stored log through a rule: how many alerts, for how many, how long, how many were right.

    Only reads, also while the engine runs. Next to the limits in force stand those of --set. Nobody acts on the replayed alerts, and
    an event that came more than an hour late counts as if it had come in time.
    """
    from backend.adapters.sqlite.store import SqliteStore

    store = SqliteStore(existing(data_dir).database)
    try:
        require_replayable(rule_id)
        rule = limits.book(store)[rule_id]
        rules = [rule, adjusted(rule, _named(changes))] if changes else [rule]
        now_us = time.time_ns() // 1_000
        found = backtest(store, rules, now_us - days * DAY, now_us, hidden_truth(store))
    finally:
        store.close()
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(document(found, changes))).decode())
    else:
        for line in lines(found, changes):
            say(line)


def _named(changes: Sequence[str]) -> dict[str, float]:
    found = {}
    for change in changes:
        name, _, text = change.partition("=")
        try:
            found[name.strip()] = float(text)
        except ValueError:
            raise click.ClickException(
                f"--set takes a name and a number, like warning.opens=4, not {change!r}"
            ) from None
    return found


def hidden_truth(store: Any) -> Truth:
    """What the simulator knows of those whom it made up: a student is at risk or gone, a cell is short, or a scenario struck it."""
    from simulator.truth import hidden

    ordered = simulation.desired(store)
    known = hidden(int(ordered["seed"]), str(ordered["scenario"]))
    struck = known["struck"]
    people = {("student", name): course["segment"] in _AT_RISK for name, course in known["students"].items()}
    people |= {("student", name): True for name in struck["students"]}
    people |= {("tutor", name): True for name in struck["tutors"]}
    short = {"|".join(cell) for cell in (*known["short_cells"], *known["evening_cells"], *struck["cells"])}
    simulated: dict[tuple[str, str], bool] = {}

    def truth(kind: str, entity_id: str) -> bool | None:
        key = kind, entity_id
        if key not in simulated:
            rows = store.entities(kind, [entity_id])
            simulated[key] = bool(rows) and rows[0]["profile"].simulated
        if not simulated[key]:
            return None
        return entity_id in short if kind == "cell" else people.get(key)

    return truth


def document(found: Backtest, changes: Sequence[str]) -> dict[str, Any]:
    """The same as JSON values; times in ISO 8601, lengths in minutes."""
    names = ["in force", ", ".join(changes)]
    return {
        "rule": found.outcomes[0].rule.rule_id,
        "from": iso(found.start_us),
        "to": iso(found.end_us),
        "watched": found.watched,
        "events": found.events,
        "settings": [_setting(name, one) for name, one in zip(names, found.outcomes, strict=False)],
    }


def _setting(name: str, one: Outcome) -> dict[str, Any]:
    minutes: Callable[[int | None], float | None] = lambda us: None if us is None else round(us / MINUTE, 1)  # noqa: E731
    values = msgspec.to_builtins(one)
    return {
        "name": name,
        "version": one.rule.version,
        "enabled": one.rule.enabled,
        "levels": msgspec.to_builtins(one.rule.levels),
        "quiet_minutes": one.rule.quiet_minutes,
        **{key: values[key] for key in ("alerts", "entities", "came_back", "still_open", "severities")},
        "days": {(iso(day) or "")[:10]: n for day, n in one.days},
        "minutes_median": minutes(one.median_us),
        "minutes_nine_in_ten": minutes(one.ninth_us),
        **{key: values[key] for key in ("within_hour", "right", "useful")},
    }


def lines(found: Backtest, changes: Sequence[str]) -> list[str]:
    """The outcome in a table, one column for each setting."""
    first = found.outcomes[0].rule
    days = round((found.end_us - found.start_us) / DAY)
    head = (
        f"{first.rule_id}: {first.measure}. Last {days} days, {found.watched:,} of kind {first.entity_type},"
        f" {found.events:,} events."
    )
    rows: list[tuple[str, list[str]]] = [("", ["in force", *([", ".join(changes)] if changes else [])])]
    for label, show in _ROWS:
        rows.append((label, [show(one, days) for one in found.outcomes]))
    for i, (day, _) in enumerate(found.outcomes[0].days):
        rows.append(((iso(day) or "")[:10], [str(one.days[i][1]) for one in found.outcomes]))
    wide = max(len(label) for label, _ in rows) + 2
    column = max(len(text) for _, texts in rows for text in texts) + 2
    return [
        head,
        *((label.ljust(wide) + "".join(t.ljust(column) for t in texts)).rstrip() for label, texts in rows),
    ]


def _limits(one: Outcome, _days: int) -> str:
    levels = ", ".join(f"{level.severity} {level.opens:g}/{level.clears:g}" for level in one.rule.levels)
    return f"{levels}, quiet {one.rule.quiet_minutes} min" + ("" if one.rule.enabled else " (turned off)")


def _length(us: int | None) -> str:
    if us is None:
        return "-"
    if us < 2 * HOUR:
        return f"{us / MINUTE:.0f} min"
    return f"{us / HOUR:.1f} h" if us < 2 * DAY else f"{us / DAY:.1f} d"


def _share(share: Share) -> str:
    return f"{share.n} of {share.of} ({percent(share.n / share.of)})" if share.of else "not known of any"


_ROWS: tuple[tuple[str, Callable[[Outcome, int], str]], ...] = (
    ("opens/ends", _limits),
    ("alerts", lambda one, days: f"{one.alerts} ({one.alerts / days:.1f} a day)"),
    ("by severity", lambda one, _: ", ".join(f"{n} {s}" for s, n in sorted(one.severities.items())) or "-"),
    ("about so many", lambda one, _: str(one.entities)),
    ("came back in the quiet time", lambda one, _: f"{one.came_back} times"),
    ("lasted, half of them at most", lambda one, _: _length(one.median_us)),
    ("lasted, nine in ten at most", lambda one, _: _length(one.ninth_us)),
    ("still open", lambda one, _: str(one.still_open)),
    ("ended by themselves within 1 h", lambda one, _: _share(one.within_hour)),
    ("right by the simulator's truth", lambda one, _: _share(one.right)),
    ("useful by verdicts of people", lambda one, _: _share(one.useful)),
)
