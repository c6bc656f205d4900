"""The command `iops backtest`: what a rule would have done in the last days, with its limits and with others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from backend.domain.limits import adjusted
from backend.domain.times import DAY
from backend.runtime.cli_common import data_dir_option, existing, say
from backend.runtime.hidden_truth import hidden_truth
from backend.services import limits
from backend.services.backtest import backtest, require_replayable
from backend.services.backtest_words import document, lines


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
    """Replay the stored log, or the kept predictions, through a rule: how many alerts, for how many, how long, how many were right.

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
    names = ["in force", *([", ".join(changes)] if changes else [])]
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(document(found, names))).decode())
    else:
        for line in lines(found, names):
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
