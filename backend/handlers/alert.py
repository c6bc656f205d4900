"""Stream of changes -> announcements on the bus."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from backend.handlers.edge import count, logger, metrics
from backend.runtime.aws import installation
from backend.runtime.aws_records import changes_of
from backend.services.publishing import announce


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Announce what each record says; records that failed are named, to be delivered again."""
    return process_partial_response(
        event=event,
        record_handler=lambda record: _announce(record.raw_event),
        processor=BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False),
        context=context,
    )


def _announce(record: dict[str, Any]) -> None:
    home = installation()
    url = home.settings.dashboard_url
    opened = announce(home.store, home.told, home.bus, changes_of([record]), home.clock(), url)
    count("AlertsOpened", opened)
