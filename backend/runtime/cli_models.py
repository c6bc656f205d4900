"""The commands `iops train` and `iops models`."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backend.domain.errors import IopsError
from backend.domain.wording import percent
from backend.runtime import settings

if TYPE_CHECKING:
    from backend.ml.promotion import ModelRegistry

_TYPES = click.Choice(["student", "tutor"])
_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of the data [IOPS_DATA_DIR]."
)


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


def _registry(data_dir: Path | None) -> ModelRegistry:
    from backend.runtime.local_models import registry

    return registry(settings.read(data_dir=data_dir).data_dir)


def _bucket(name: str) -> Any:
    import boto3

    from backend.adapters.aws.files import Files

    return Files(boto3.client("s3"), name)


def _decided(work: Any) -> Any:
    try:
        return work()
    except (ValueError, IopsError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option(
    "--source",
    default="simulator",
    show_default=True,
    help="`simulator`, `log` (of this installation), or s3://BUCKET/PREFIX with the archive of the stacks on AWS.",
)
@click.option(
    "--customers", type=click.IntRange(100, 100_000), default=10_000, show_default=True, help="Simulated."
)
@click.option("--days", type=click.IntRange(75, 400), default=120, show_default=True, help="Simulated.")
@click.option("--until", help="Day at which the simulated history ends [today].")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--trials", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the models to this folder; nothing is put in use."
)
@click.option(
    "--rows", type=click.Path(path_type=Path), help="Also write the rows and their statistics here."
)
@_data_dir
def train(
    source: str,
    customers: int,
    days: int,
    until: str | None,
    seed: int,
    trials: int,
    threads: int,
    out: Path | None,
    rows: Path | None,
    data_dir: Path | None,
) -> None:
    """Train the models, print how good they are, and put them in use where they are better."""
    from backend.ml import train_run
    from backend.ml.model_files import FolderFiles
    from backend.ml.promotion import ModelRegistry
    from backend.runtime import train as training

    now_us = time.time_ns() // 1_000

    def work() -> None:
        if source == "simulator":
            end = training.moment(until) if until else training.midnight(now_us)
            found = training.simulated(customers, days, seed, end, _say)
        elif source.startswith("s3://"):
            found = training.bucket(source, _bucket, _say)
        elif source != "log":
            raise ValueError(f"{source!r} is no source; it is `simulator`, `log` or s3://BUCKET/PREFIX")
        else:
            from backend.adapters.sqlite.store import SqliteStore

            chosen = settings.read(data_dir=data_dir)
            if not chosen.database.exists():
                raise ValueError(f"there is no data in {chosen.data_dir} yet; start with `iops up`")
            found = training.own_log(SqliteStore(chosen.database), now_us, _say)
        registry = ModelRegistry(FolderFiles(out)) if out else _registry(data_dir)
        train_run.run(
            found,
            registry,
            trials=trials,
            seed=seed,
            threads=threads,
            decided=out is None,
            say=_say,
            rows=rows,
        )

    try:
        _decided(work)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"training needs {error.name}; install the extra: pip install 'iops-dashboard[ml]'"
        ) from error


@click.group()
def models() -> None:
    """Models: which there are, which is in use, and giving a new one a share first."""


@models.command("list")
@_data_dir
def list_(data_dir: Path | None) -> None:
    """All versions with their state."""
    from backend.domain.predictions import ENTITY_TYPES

    registry = _registry(data_dir)
    for entity_type in ENTITY_TYPES:
        use = registry.use(entity_type)
        for version in registry.versions(entity_type):
            canary = use["canary"] or {}
            state = (
                "in use"
                if version == use["active"]
                else f"canary {percent(canary['share'])}"
                if version == canary.get("version")
                else "shadow"
                if version == use["shadow"]
                else "kept"
            )
            shipped = "  shipped" if version in registry.shipped(entity_type) else ""
            _say(f"{version}  {state}{shipped}")


@models.command()
@click.argument("version")
@_data_dir
def show(version: str, data_dir: Path | None) -> None:
    """The card of a version, and what was decided about its kind."""
    from backend.ml.card import card_text

    registry = _registry(data_dir)
    entity_type = _type_of(version)
    _say(card_text(_decided(lambda: registry.load(entity_type, version))))
    for line in registry.use(entity_type)["log"]:
        _say(json.dumps(line))


@models.command()
@click.argument("version")
@click.option("--reason", default="by hand", show_default=True)
@_data_dir
def promote(version: str, reason: str, data_dir: Path | None) -> None:
    """Put a version in use for everybody."""
    _decided(lambda: _registry(data_dir).promote(_type_of(version), version, reason, datetime.now(UTC)))
    _say(f"{version} is in use")


@models.command()
@click.argument("version")
@click.option(
    "--share", type=click.FloatRange(0, 1), required=True, help="Share of students or tutors, 0 to 1."
)
@_data_dir
def canary(version: str, share: float, data_dir: Path | None) -> None:
    """Give a version to a share of students or tutors first."""
    _decided(lambda: _registry(data_dir).start_canary(_type_of(version), version, share, datetime.now(UTC)))
    _say(f"{version} scores {percent(share)}")


@models.command()
@click.argument("version")
@click.option("--reason", default="by hand", show_default=True)
@_data_dir
def shadow(version: str, reason: str, data_dir: Path | None) -> None:
    """Put a version in the shadow of the one in use: it scores the same students or tutors, and only `iops models` and /models show it."""
    _decided(lambda: _registry(data_dir).start_shadow(_type_of(version), version, reason, datetime.now(UTC)))
    _say(f"{version} scores in the shadow")


@models.command()
@click.argument("version")
@click.option("--reason", default="by hand", show_default=True)
@_data_dir
def drop(version: str, reason: str, data_dir: Path | None) -> None:
    """End the shadow of a version; it is kept."""
    _decided(lambda: _registry(data_dir).drop_shadow(_type_of(version), version, reason, datetime.now(UTC)))
    _say(f"{version} is in no shadow any more")


@models.command()
@click.argument("entity_type", type=_TYPES)
@click.option("--reason", default="by hand", show_default=True)
@_data_dir
def rollback(entity_type: str, reason: str, data_dir: Path | None) -> None:
    """End the canary; without one, go back to the version before."""
    now = _decided(lambda: _registry(data_dir).rollback(entity_type, reason, datetime.now(UTC)))
    _say(f"{now} is in use")


def _type_of(version: str) -> str:
    return version.partition("-")[0]
