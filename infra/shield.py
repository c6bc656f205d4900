"""A web application firewall in front of the REST API and the dashboard, where a stage asks for one."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.stages import Stage

PER_ADDRESS = 2_000  # requests in five minutes
MANAGED = ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet")


class Shield(Construct):
    """`doors`: name -> ARN of what it stands before."""

    def __init__(self, scope: Construct, stage: Stage, doors: Mapping[str, str]) -> None:
        super().__init__(scope, "Shield")
        limit = wafv2.CfnWebACL.RuleProperty(
            name="per-address",
            priority=0,
            action=wafv2.CfnWebACL.RuleActionProperty(block={}),
            visibility_config=_seen("per-address"),
            statement=wafv2.CfnWebACL.StatementProperty(
                rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                    limit=PER_ADDRESS,
                    aggregate_key_type="IP",
                    # Senders have their own limit, per key, and may well share one address.
                    scope_down_statement=wafv2.CfnWebACL.StatementProperty(
                        not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=_has_key())
                    ),
                )
            ),
        )
        acl = wafv2.CfnWebACL(
            self,
            "acl",
            name=stage.named("shield"),
            scope="REGIONAL",
            visibility_config=_seen(stage.named("shield")),
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=[limit, *(_managed(name, place) for place, name in enumerate(MANAGED, start=1))],
        )
        for name, arn in doors.items():
            wafv2.CfnWebACLAssociation(self, f"before-{name}", resource_arn=arn, web_acl_arn=acl.attr_arn)


def _has_key() -> wafv2.CfnWebACL.StatementProperty:
    return wafv2.CfnWebACL.StatementProperty(
        size_constraint_statement=wafv2.CfnWebACL.SizeConstraintStatementProperty(
            field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(single_header={"Name": "x-api-key"}),
            comparison_operator="GE",
            size=20,
            text_transformations=[wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
        )
    )


def _managed(name: str, priority: int) -> wafv2.CfnWebACL.RuleProperty:
    """AWS's own rules. Batches of events are larger than the 8 KB that the common rules allow: that one only counts."""
    overrides = None
    if name == "AWSManagedRulesCommonRuleSet":
        counted = wafv2.CfnWebACL.RuleActionProperty(count={})
        overrides = [
            wafv2.CfnWebACL.RuleActionOverrideProperty(name="SizeRestrictions_BODY", action_to_use=counted)
        ]
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        visibility_config=_seen(name),
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
        statement=wafv2.CfnWebACL.StatementProperty(
            managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                vendor_name="AWS", name=name, rule_action_overrides=overrides
            )
        ),
    )


def _seen(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
