"""List prices of AWS in us-east-1, in dollars, without any discount. Look them up again when DATED is old, and change both.

"Free" amounts are those that an account has for good every month, not those of its first year.
"""

from __future__ import annotations

from typing import NamedTuple

DATED = "2026-11-01"
REGION = "us-east-1"


class Price(NamedTuple):
    """`usd` for each `per` of `unit`; `free` units a month cost nothing."""

    usd: float
    unit: str
    per: float = 1.0
    free: float = 0.0

    def of(self, quantity: float) -> float:
        """What so many units in a month cost."""
        return max(0.0, quantity - self.free) / self.per * self.usd


_MILLION = 1_000_000
PRICES: dict[str, Price] = {
    "api_request": Price(3.50, "requests", _MILLION),
    "socket_message": Price(1.00, "messages", _MILLION),
    "socket_minute": Price(0.25, "connection minutes", _MILLION),
    "lambda_request": Price(0.20, "calls", _MILLION, free=_MILLION),
    "lambda_gb_second": Price(0.0000133334, "GB-seconds (arm64)", free=400_000),
    "write_unit": Price(0.625, "write units on demand", _MILLION),
    "read_unit": Price(0.125, "read units on demand", _MILLION),
    "table_gb": Price(0.25, "GB-months", free=25),
    "recovery_gb": Price(0.20, "GB-months of point-in-time recovery"),
    "stream_hour": Price(0.04, "hours of a stream on demand"),
    "stream_in_gb": Price(0.08, "GB into the stream"),
    "stream_out_gb": Price(0.04, "GB out of the stream"),
    "s3_gb": Price(0.023, "GB-months"),
    "s3_infrequent_gb": Price(0.0125, "GB-months, infrequent access"),
    "s3_glacier_gb": Price(0.004, "GB-months, Glacier instant retrieval"),
    "s3_put": Price(0.005, "writes", 1_000),
    "bus_event": Price(1.00, "events", _MILLION),
    "mail": Price(2.00, "mails", 100_000, free=1_000),
    "log_gb": Price(0.50, "GB of logs", free=5),
    "log_kept_gb": Price(0.03, "GB-months of logs", free=5),
    "alarm": Price(0.10, "alarms", free=10),
    "composite_alarm": Price(0.50, "alarms over alarms"),
    "metric": Price(0.30, "metrics", free=10),
    "board": Price(3.00, "dashboards", free=3),
    "trace": Price(5.00, "traces", _MILLION, free=100_000),
    "secret": Price(0.40, "secrets"),
    "tokens_in": Price(1.00, "tokens read (Haiku class)", _MILLION),
    "tokens_out": Price(5.00, "tokens written (Haiku class)", _MILLION),
    "fargate_cpu_hour": Price(0.04048, "vCPU-hours"),
    "fargate_gb_hour": Price(0.004445, "GB-hours"),
    "balancer_hour": Price(0.0225 + 0.008, "hours of a balancer and one unit of its capacity"),
    "address_hour": Price(0.005, "hours of a public address"),
    "endpoint_hour": Price(0.01, "hours of a private endpoint in one zone"),
    "waf": Price(1.00, "rules, and five for the list itself"),
    "waf_request": Price(0.60, "requests looked at", _MILLION),
    "serving_hour": Price(0.115, "hours of ml.m5.large"),
    "training_hour": Price(0.23, "hours of ml.m5.xlarge"),
    "audit_event": Price(0.10, "reads and writes audited", 100_000),
}
