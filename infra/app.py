"""The stacks of a stage, written to `cdk.out` (or $CDK_OUTDIR): `python -m infra.app -c stage=dev`. Needs no Docker and no account."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aws_cdk as cdk

from infra import nag
from infra.core import CoreStack
from infra.experience import ExperienceStack
from infra.intelligence import IntelligenceStack
from infra.observability import ObservabilityStack
from infra.stages import Stage, read


class Stacks(NamedTuple):
    """The stacks of one stage; the rest only where the stage asks for it."""

    core: CoreStack
    intelligence: IntelligenceStack
    experience: ExperienceStack
    observability: ObservabilityStack
    others: tuple[cdk.Stack, ...]


def build(app: cdk.App, stage: Stage) -> Stacks:
    """Every stack of the stage, checked by the rules of cdk-nag when the app is synthesised."""
    env = cdk.Environment(account=stage.account, region=stage.region)
    prefix = f"Iops-{stage.name}"

    def options(name: str) -> dict[str, Any]:
        return {"id": f"{prefix}-{name}", "env": env, "termination_protection": stage.retain}

    core = CoreStack(app, stage=stage, **options("Core"))
    intelligence = IntelligenceStack(app, stage=stage, core=core, **options("Intelligence"))
    experience = ExperienceStack(app, stage=stage, core=core, **options("Experience"))
    observability = ObservabilityStack(
        app,
        stage=stage,
        core=core,
        intelligence=intelligence,
        experience=experience,
        **options("Observability"),
    )
    others: list[cdk.Stack] = []
    if stage.standby:
        from infra.standby import StandbyStack

        there = options("Standby") | {"env": cdk.Environment(account=stage.account, region=stage.standby)}
        others.append(StandbyStack(app, stage=stage, **there))
        core.add_dependency(others[0], "the copy must exist before anything is copied there")
    if stage.learning:
        from infra.learning import LearningStack

        others.append(LearningStack(app, stage=stage, core=core, **options("Learning")))
    if stage.watch:
        from infra.guard import GuardStack

        others.append(GuardStack(app, stage=stage, core=core, **options("Guard")))
    for name, value in (("Project", "iops"), ("Stage", stage.name)):
        cdk.Tags.of(app).add(name, value)
    nag.check(app, stage)
    return Stacks(core, intelligence, experience, observability, tuple(others))


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=__doc__)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="FIELD=VALUE")
    pairs = dict(pair.partition("=")[::2] for pair in parser.parse_args(arguments).context)
    app = cdk.App(outdir=environ.get("CDK_OUTDIR", "cdk.out"), context=pairs)
    try:
        stage = read({key: app.node.try_get_context(key) for key in _known(app)})
    except ValueError as error:
        parser.error(str(error))
    stacks = build(app, stage)
    app.synth()
    print(
        f"{stage.name}: {', '.join(each.stack_name for each in (*stacks[:4], *stacks.others))} in {app.outdir}"
    )


def _known(app: cdk.App) -> list[str]:
    """Names of the stage's fields that the context holds, wherever it came from (here or the cdk command)."""
    return [key for key in ("stage", *Stage.__struct_fields__) if app.node.try_get_context(key) is not None]


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
