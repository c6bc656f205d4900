"""Stream of accepted events -> windows, scores, alerts."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from backend.handlers.edge import count, logger, metrics
from backend.handlers.run import run
from backend.runtime.aws import installation
from backend.runtime.aws_records import fold

_SOURCES = {False: EventType.DynamoDBStreams, True: EventType.KinesisDataStreams}


@metrics.log_metrics
@logger.inject_lambda_context
@run
def handler(event: dict[str, Any], context: Any) -> Any:
    """Fold a batch of records; those that cannot be folded are named, to be delivered again and then put aside."""
    home = installation()
    folded = fold(home.store, event["Records"], home.clock())
    count("ProcessLagSeconds", folded.lag_s)
    logger.info("folded", events=folded.events, failed=len(folded.failed), requests=folded.requests)
    source = _SOURCES["kinesis" in event["Records"][0]]
    return process_partial_response(
        event=event,
        record_handler=lambda record: folded.require(record.raw_event),
        processor=BatchProcessor(source, raise_on_entire_batch_failure=False),
        context=context,
    )
