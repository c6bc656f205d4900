"""Every operation of the route table with the function that answers it; a test holds the two together."""

from __future__ import annotations

from collections.abc import Callable

from backend.runtime.api_commands import HANDLERS as COMMANDS
from backend.runtime.api_context import Api, Call
from backend.runtime.api_forecasts import HANDLERS as FORECASTS
from backend.runtime.api_models import HANDLERS as MODELS
from backend.runtime.api_read import HANDLERS as READS
from backend.runtime.api_rules import HANDLERS as RULES
from backend.runtime.openapi import HANDLERS as DESCRIPTIONS
from backend.runtime.replies import Reply

Handler = Callable[[Api, Call], Reply]

# The two POSTs of the hot path are answered by api_write, before this table is asked.
HOT = ("post_events", "post_metrics")
HANDLERS: dict[str, Handler] = {**READS, **FORECASTS, **COMMANDS, **MODELS, **RULES, **DESCRIPTIONS}
