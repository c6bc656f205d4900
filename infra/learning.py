"""Learning, only where a stage asks for it: a training job every week, and an endpoint that serves a packed model."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.core import CoreStack, tell
from infra.grants import LIST_BUCKET, repository_of, unscoped
from infra.stages import Learning, Stage

INSTANCES = (1, 3)
CALLS_PER_INSTANCE = 1_000  # in a minute; beyond it another instance starts
TRAINS_ON = "ml.m5.xlarge"
LONGEST_S = 4 * 3_600
VARIANT = "current"
CHANNEL = "train"  # the folder in which backend/ml/sagemaker_entry.py looks


class LearningStack(cdk.Stack):
    """Trains on the archive, writes to the bucket of models. What it writes is proposed, not used: `iops models promote`."""

    def __init__(self, scope: Construct, id: str, stage: Stage, core: CoreStack, **options: Any) -> None:
        super().__init__(scope, id, description="iOps: training and serving of models", **options)
        if stage.learning is None:
            raise ValueError(f"stage {stage.name} has no learning")
        self._stage, self._core, self._wanted = stage, core, stage.learning
        self._train(self._role("trains", write=True))
        if self._wanted.model_data:
            self._serve(self._role("serves", write=False), self._wanted)

    def _role(self, name: str, write: bool) -> iam.Role:
        role = iam.Role(self, name, assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
        models, archive = self._core.places["models"], self._core.places["archive"]
        readable = (models, archive) if write else (models,)
        for place in readable:
            role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=list(place.arns)))
            role.add_to_policy(iam.PolicyStatement(actions=[LIST_BUCKET], resources=list(place.own_arns)))
        if write:
            role.add_to_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=list(models.arns)))
        role.add_to_policy(unscoped("ecr:GetAuthorizationToken"))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                ],
                resources=sorted(self._images()),
            )
        )
        logs = self.format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], resources=[logs]
            )
        )
        return role

    def _images(self) -> set[str]:
        """Repositories of the two images, as ARNs."""
        images = (self._wanted.image, self._wanted.serving_image)
        return set(filter(None, (repository_of(image, self.partition) for image in images)))

    def _train(self, role: iam.Role) -> None:
        stage, archive, models = self._stage, self._core.places["archive"], self._core.places["models"]
        jobs = self.format_arn(
            service="sagemaker", resource="training-job", resource_name=f"{stage.named('')}*"
        )
        starts = iam.Role(self, "starts", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        starts.add_to_policy(
            iam.PolicyStatement(
                actions=["sagemaker:CreateTrainingJob", "sagemaker:AddTags"], resources=[jobs]
            )
        )
        role.grant_pass_role(starts)
        job = {
            "TrainingJobName": f"{stage.named('')}<aws.scheduler.execution-id>",
            "AlgorithmSpecification": {
                "TrainingImage": self._wanted.image,
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "-m", "backend.ml.sagemaker_entry"],
            },
            "RoleArn": role.role_arn,
            "InputDataConfig": [
                {
                    "ChannelName": CHANNEL,
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{archive.value}/raw/",
                            "S3DataDistributionType": "FullyReplicated",
                        }
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{models.value}/trained/"},
            "ResourceConfig": {"InstanceType": TRAINS_ON, "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": LONGEST_S},
        }
        scheduler.CfnSchedule(
            self,
            "weekly",
            name=stage.named("train"),
            description="a training job every Monday night",
            schedule_expression="cron(0 3 ? * MON *)",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn="arn:aws:scheduler:::aws-sdk:sagemaker:createTrainingJob",
                role_arn=starts.role_arn,
                input=self.to_json_string(job),
            ),
        )

    def _serve(self, role: iam.Role, wanted: Learning) -> None:
        model = sagemaker.CfnModel(
            self,
            "model",
            execution_role_arn=role.role_arn,
            enable_network_isolation=True,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(
                image=wanted.serving_image or wanted.image, model_data_url=wanted.model_data
            ),
        )
        model.node.add_dependency(role)
        config = sagemaker.CfnEndpointConfig(
            self,
            "config",
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=VARIANT,
                    model_name=model.attr_model_name,
                    instance_type=wanted.instance,
                    initial_instance_count=INSTANCES[0],
                    initial_variant_weight=1.0,
                )
            ],
        )
        endpoint = sagemaker.CfnEndpoint(
            self,
            "endpoint",
            endpoint_name=self._stage.named("scores"),
            endpoint_config_name=config.attr_endpoint_config_name,
        )
        target = scaling.ScalableTarget(
            self,
            "instances",
            service_namespace=scaling.ServiceNamespace.SAGEMAKER,
            min_capacity=INSTANCES[0],
            max_capacity=INSTANCES[1],
            resource_id=f"endpoint/{endpoint.attr_endpoint_name}/variant/{VARIANT}",
            scalable_dimension="sagemaker:variant:DesiredInstanceCount",
        )
        target.scale_to_track_metric(
            "calls",
            target_value=CALLS_PER_INSTANCE,
            predefined_metric=scaling.PredefinedMetric.SAGEMAKER_VARIANT_INVOCATIONS_PER_INSTANCE,
            scale_in_cooldown=cdk.Duration.minutes(10),
            scale_out_cooldown=cdk.Duration.minutes(3),
        )
        tell(self, "ScoresEndpoint", endpoint.attr_endpoint_name)
