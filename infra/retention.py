"""How long what lies in buckets stays, and where it moves as it ages."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3

# Days after which an archived object moves to a cheaper class, and after which it goes.
INFREQUENT, GLACIER, GONE = 30, 90, 365
OLD_DAYS = 1  # that versions which were written over stay: people who were forgotten are in them


def archive_rules() -> list[s3.LifecycleRule]:
    """What becomes of the archive as it ages."""
    moves = (
        (s3.StorageClass.INFREQUENT_ACCESS, INFREQUENT),
        (s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, GLACIER),
    )
    return [
        s3.LifecycleRule(
            expiration=cdk.Duration.days(GONE),
            abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
            transitions=[
                s3.Transition(storage_class=kind, transition_after=cdk.Duration.days(days))
                for kind, days in moves
            ],
        )
    ]
