"""What every function has: logs as JSON lines, and metrics in them (EMF) by the names of the topology.

Powertools takes the namespace of the metrics and the name they go by from the environment. Every logger of ours is a child of
`iops`, so that what services and adapters say is written in the same way.
"""

from __future__ import annotations

import warnings

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

from backend.topology import METRICS

logger = Logger(service="iops")
metrics = Metrics()
_UNITS = {metric.name: MetricUnit(metric.unit) for metric in METRICS}
warnings.filterwarnings("ignore", "No application metrics")  # a quiet invocation is no mistake


def count(name: str, value: float) -> None:
    """Add to a metric of the topology; it is written when the invocation ends."""
    metrics.add_metric(name=name, unit=_UNITS[name], value=value)


def count_by(name: str, value: float, dimension: str, member: str) -> None:
    """Write a metric that is told apart by one more dimension."""
    with single_metric(name=name, unit=_UNITS[name], value=value) as metric:
        metric.add_dimension(name="service", value=str(metrics.service))
        metric.add_dimension(name=dimension, value=member)
