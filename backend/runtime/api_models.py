"""Models over HTTP: which there are, how good they are, and giving one to everybody or to a share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from backend.domain.errors import Forbidden, InvalidEvent, NotFound, Violation
from backend.runtime.api_context import Api, Call
from backend.runtime.api_read import plain, reply
from backend.runtime.replies import Reply
from backend.services import models
from backend.services.models import ModelShelf


class ModelCommand(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of a command to a model. `share` (0 to 1) goes with canary; `reason` is kept with the decision."""

    share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] | None = None


def list_models(api: Api, call: Call) -> Reply:
    return reply(plain(models.overview(api.store, _shelf(api))))


def get_model(api: Api, call: Call) -> Reply:
    return reply(models.card(_shelf(api), call.path["id"]))


def model_command(api: Api, call: Call) -> Reply:
    if api.read_only:
        raise Forbidden("this installation is read-only")
    try:
        body = msgspec.convert(call.body or {}, ModelCommand)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise InvalidEvent([Violation(path.strip(".`"), "schema", reason)]) from None
    found = models.command(
        api.store,
        _shelf(api),
        call.path["id"],
        call.path["action"],
        actor=call.actor,
        now_us=call.now_us,
        share=body.share,
        reason=body.reason,
    )
    return reply(plain(found))


def _shelf(api: Api) -> ModelShelf:
    if api.models is None:
        raise NotFound("this installation keeps no models")
    return api.models


HANDLERS: dict[str, Callable[[Api, Call], Reply]] = {
    "models": list_models,
    "get_model": get_model,
    "model_command": model_command,
}
