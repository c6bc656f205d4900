"""A private network, only where a stage asks for one: functions without a way to the internet, the dashboard behind its balancer."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import Stage

# What functions inside the network call; each endpoint costs about $7 a month in each of the two zones.
SERVICES = (
    "sqs",
    "events",
    "secretsmanager",
    "bedrock-runtime",
    "kinesis-streams",
    "sagemaker-runtime",
    "xray",
)
_INTERFACES = {
    "sqs": ec2.InterfaceVpcEndpointAwsService.SQS,
    "events": ec2.InterfaceVpcEndpointAwsService.EVENTBRIDGE,
    "secretsmanager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "bedrock-runtime": ec2.InterfaceVpcEndpointAwsService.BEDROCK_RUNTIME,
    "kinesis-streams": ec2.InterfaceVpcEndpointAwsService.KINESIS_STREAMS,
    "sagemaker-runtime": ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_RUNTIME,
    "xray": ec2.InterfaceVpcEndpointAwsService.XRAY,
}


class Network(Construct):
    """Two zones. No NAT: the private part reaches AWS by endpoints alone."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Network")
        assert stage.region is not None
        parts = [ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24)]
        if stage.vpc:
            parts.append(
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
                )
            )
        self.vpc = ec2.Vpc(
            self,
            "vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.40.0.0/16"),
            nat_gateways=0,
            availability_zones=[f"{stage.region}{zone}" for zone in "ab"],
            subnet_configuration=parts,
            restrict_default_security_group=False,
        )
        kept = logs.LogGroup(
            self,
            "flow-log",
            log_group_name=f"/iops/{stage.name}/network",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,  # else its name is taken when the stage is deployed again
        )
        self.vpc.add_flow_log("flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(kept))
        self.vpc.add_gateway_endpoint("dynamodb", service=ec2.GatewayVpcEndpointAwsService.DYNAMODB)
        self.vpc.add_gateway_endpoint("s3", service=ec2.GatewayVpcEndpointAwsService.S3)
        if stage.vpc:
            unused = set() if stage.ingest_path == "kinesis" else {"kinesis-streams"}
            if not (stage.learning and stage.learning.model_data):
                unused.add("sagemaker-runtime")
            for name in SERVICES:
                if name not in unused:
                    self.vpc.add_interface_endpoint(name, service=_INTERFACES[name])
