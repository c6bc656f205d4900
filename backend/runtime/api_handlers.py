"""Every operation of the route table with the function that answers it; a test holds the two together."""

from __future__ import annotations

from collections.abc import Callable

from backend.runtime import api_commands, api_read, openapi
from backend.runtime.api_context import Api, Call
from backend.runtime.replies import Reply

Handler = Callable[[Api, Call], Reply]

# The two POSTs of the hot path are answered by api_write, before this table is asked.
HOT = ("post_events", "post_metrics")
HANDLERS: dict[str, Handler] = {**api_read.HANDLERS, **api_commands.HANDLERS, **openapi.HANDLERS}
