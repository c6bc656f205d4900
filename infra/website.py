"""The dashboard's image on Fargate, behind HTTPS and a login, reading the same tables with a role of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_elasticloadbalancingv2_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from backend.topology import WEBSITE_GRANTS
from infra.core import CoreStack
from infra.functions import environment, variables
from infra.grants import Place, repository_of, statements, unscoped
from infra.stages import Stage, Website

PORT = 8050
_ROOT = Path(__file__).resolve().parents[1]
FRAME_COOKIE = "__Host-iops-frame"  # of the dashboard (dashboard/sessions.py), in frames of others


class Dashboard(Construct):
    """`balancer` is the only way in; people sign in there, and the dashboard's own token says what they may do."""

    def __init__(self, scope: Construct, stage: Stage, core: CoreStack, places: Mapping[str, Place]) -> None:
        super().__init__(scope, "Dashboard")
        if stage.website is None or core.network is None:
            raise ValueError("the dashboard needs the stage's website and a network")
        self._stage, self._site, self._vpc = stage, stage.website, core.network.vpc
        self.balancer = elb.ApplicationLoadBalancer(
            self,
            "balancer",
            vpc=self._vpc,
            internet_facing=True,
            drop_invalid_header_fields=True,
            deletion_protection=stage.retain,
        )
        self.balancer.log_access_logs(core.stores.logs, "dashboard")
        service = self._service(places)
        group = elb.ApplicationTargetGroup(
            self,
            "targets",
            vpc=self._vpc,
            port=PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            targets=[service],
            health_check=elb.HealthCheck(path="/healthz", interval=cdk.Duration.seconds(15)),
            stickiness_cookie_duration=cdk.Duration.hours(8),
            deregistration_delay=cdk.Duration.seconds(20),
        )
        shown = elb.ListenerAction.forward([group])
        listener = self.balancer.add_listener(
            "https",
            port=443,
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            certificates=[acm.Certificate.from_certificate_arn(self, "certificate", self._site.certificate)],
            default_action=self._sign_in(self._site, shown),
        )
        if self._site.embed:
            self._let_frames_through(listener, shown)
        self.balancer.add_redirect()
        cdk.CfnOutput(cdk.Stack.of(self), "DashboardUrl", value=f"https://{self._site.domain}")
        cdk.CfnOutput(cdk.Stack.of(self), "BalancerName", value=self.balancer.load_balancer_dns_name)

    def _let_frames_through(self, listener: elb.ApplicationListener, shown: elb.ListenerAction) -> None:
        """A login page cannot be shown in a frame, so what a frame asks for goes to the dashboard, whose own token is asked for."""
        asks = {
            "frame": elb.ListenerCondition.query_strings([elb.QueryStringCondition(key="embed", value="1")]),
            "framed": elb.ListenerCondition.http_header("Cookie", [f"*{FRAME_COOKIE}=*"]),
        }
        for priority, (name, condition) in enumerate(asks.items(), 1):
            listener.add_action(name, priority=priority, conditions=[condition], action=shown)

    def _service(self, places: Mapping[str, Place]) -> ecs.FargateService:
        stage = self._stage
        cluster = ecs.Cluster(
            self, "cluster", vpc=self._vpc, container_insights_v2=ecs.ContainerInsights.ENABLED
        )
        task = ecs.FargateTaskDefinition(self, "task", cpu=512, memory_limit_mib=1024)
        token = secretsmanager.Secret(
            self,
            "token",
            secret_name=f"iops/{stage.name}/admin-token",
            description="the first admin's access token",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=48, exclude_punctuation=True
            ),
        )
        named = {
            grant.resource: places[grant.resource] for grant in WEBSITE_GRANTS if grant.resource in places
        }
        kept = logs.LogGroup(
            self,
            "log",
            log_group_name=f"/iops/{stage.name}/dashboard",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        task.add_container(
            "web",
            image=self._image(),
            command=["iops", "web"],
            readonly_root_filesystem=False,
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            logging=ecs.LogDrivers.aws_logs(stream_prefix="web", log_group=kept),
            environment=environment(stage)
            | variables(named)
            | {
                "IOPS_HOST": "0.0.0.0",
                "IOPS_BEHIND_TLS": "1",
                "IOPS_ALLOWED_HOSTS": self._site.domain,
                "IOPS_REGION": stage.region or "",
            }
            | ({"IOPS_EMBED_ORIGINS": ",".join(self._site.embed)} if self._site.embed else {}),
            secrets={"IOPS_TOKEN": ecs.Secret.from_secrets_manager(token)},
        )
        self._let_pull(task)
        for grant in WEBSITE_GRANTS:
            if grant.resource in places:
                for statement in statements(places[grant.resource], grant.access):
                    task.add_to_task_role_policy(statement)
        return ecs.FargateService(
            self,
            "service",
            cluster=cluster,
            task_definition=task,
            desired_count=self._site.tasks,
            assign_public_ip=True,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            min_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )

    def _let_pull(self, task: ecs.FargateTaskDefinition) -> None:
        """A built image in a registry of AWS; what is built while deploying is granted by CDK, what is public needs no grant."""
        if arn := repository_of(self._site.image, cdk.Aws.PARTITION):
            pull = [
                f"ecr:{n}" for n in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
            ]
            task.add_to_execution_role_policy(unscoped("ecr:GetAuthorizationToken"))
            task.add_to_execution_role_policy(iam.PolicyStatement(actions=pull, resources=[arn]))

    def _image(self) -> ecs.ContainerImage:
        if self._site.image:
            return ecs.ContainerImage.from_registry(self._site.image)
        return ecs.ContainerImage.from_asset(
            str(_ROOT), exclude=[".venv", ".ministack", "build", "cdk.out", ".git", "tests"]
        )

    def _sign_in(self, site: Website, then: elb.ListenerAction) -> elb.ListenerAction:
        if site.people == "oidc":
            secret = cdk.SecretValue.secrets_manager(f"iops-{self._stage.name}-oidc")
            authorization, token, people = site.endpoints  # each provider has paths of its own
            return elb.ListenerAction.authenticate_oidc(
                issuer=site.issuer,
                client_id=site.client,
                client_secret=secret,
                next=then,
                authorization_endpoint=authorization,
                token_endpoint=token,
                user_info_endpoint=people,
            )
        pool = cognito.UserPool(
            self,
            "people",
            user_pool_name=self._stage.named("people"),
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            mfa=cognito.Mfa.REQUIRED,
            mfa_second_factor=cognito.MfaSecondFactor(sms=False, otp=True),
            password_policy=cognito.PasswordPolicy(
                min_length=14,
                require_symbols=True,
                require_digits=True,
                require_lowercase=True,
                require_uppercase=True,
            ),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            removal_policy=cdk.RemovalPolicy.RETAIN if self._stage.retain else cdk.RemovalPolicy.DESTROY,
        )
        domain = pool.add_domain(
            "domain",
            cognito_domain=cognito.CognitoDomainOptions(
                domain_prefix=f"{self._stage.named('login')}-{self._stage.account}"
            ),
        )
        client = pool.add_client(
            "balancer",
            generate_secret=True,
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                callback_urls=[f"https://{site.domain}/oauth2/idpresponse"],
            ),
        )
        return actions.AuthenticateCognitoAction(
            user_pool=pool, user_pool_client=client, user_pool_domain=domain, next=then
        )
