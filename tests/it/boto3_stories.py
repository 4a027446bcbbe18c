"""Stories of the embedded region told by boto3: `boto3_stories.py STORY`. An assertion that fails ends with 1."""

import datetime
import signal
import sys
import time

import boto3
import botocore.loaders
from botocore.config import Config

# Nothing here may take longer, whatever hangs.
signal.alarm(60)


def client(service):
    return boto3.client(service, config=Config(read_timeout=20, retries={"max_attempts": 0}))


def until(what, look):
    """Looks again and again until `look` finds something; the alarm bounds it."""
    while not (found := look()):
        time.sleep(0.1)
    print(what, found)
    return found


def instances():
    """A waiter and paginators follow instances through their life."""
    ec2 = client("ec2")
    image = client("ssm").get_parameter(
        Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    )["Parameter"]["Value"]
    launched = ec2.run_instances(ImageId=image, InstanceType="t2.large", MinCount=3, MaxCount=3)["Instances"]
    ids = sorted(instance["InstanceId"] for instance in launched)
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 30})

    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) == 2, pages
    running = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": ["running"]}]
    )
    assert sorted(running.search("Reservations[].Instances[].InstanceId")) == ids
    types = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 25})
    names = list(types.search("InstanceTypes[].InstanceType"))
    assert "t2.large" in names and len(names) == len(set(names)) > 50, names

    ec2.terminate_instances(InstanceIds=ids)
    ec2.get_waiter("instance_terminated").wait(InstanceIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 30})


def network():
    """Someone builds a network of their own, and cannot take its ground away while a balancer stands on it."""
    ec2, elbv2 = boto3.resource("ec2"), client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")
    vpc.wait_until_available()
    vpc.modify_attribute(EnableDnsHostnames={"Value": True})
    assert vpc.describe_attribute(Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
    gateway = ec2.create_internet_gateway()
    vpc.attach_internet_gateway(InternetGatewayId=gateway.id)
    table = vpc.create_route_table()
    table.create_route(DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway.id)
    zones = [zone["ZoneName"] for zone in client("ec2").describe_availability_zones()["AvailabilityZones"]]
    subnets = [
        vpc.create_subnet(CidrBlock=f"10.20.{number}.0/24", AvailabilityZone=zones[number]) for number in range(2)
    ]
    associations = [table.associate_with_subnet(SubnetId=subnet.id) for subnet in subnets]
    balancer = elbv2.create_load_balancer(Name="lab", Subnets=[subnet.id for subnet in subnets])["LoadBalancers"][0]
    interfaces = list(subnets[0].network_interfaces.all())
    assert interfaces[0].description.startswith("ELB app/lab/"), interfaces
    try:
        subnets[0].delete()
        raise AssertionError("a subnet in use was deleted")
    except ec2.meta.client.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "DependencyViolation", error

    elbv2.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    for association in associations:
        association.delete()
    for subnet in subnets:
        subnet.delete()
    table.delete()
    gateway.detach_from_vpc(VpcId=vpc.id)
    gateway.delete()
    vpc.delete()
    assert vpc.id not in [each.id for each in ec2.vpcs.all()]


def group():
    """An Auto Scaling group replaces the instance that is said to be unhealthy."""
    ec2, autoscaling = client("ec2"), client("autoscaling")
    data = {"ImageId": "ami-0a1b2c3d4e5f60001", "InstanceType": "t2.large"}
    ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    template = {"LaunchTemplateName": "web", "Version": "$Latest"}
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web", MinSize=1, MaxSize=2, LaunchTemplate=template, VPCZoneIdentifier=subnet
    )

    def in_service():
        found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]
        ids = [each["InstanceId"] for each in found["Instances"] if each["LifecycleState"] == "InService"]
        return ids[0] if len(ids) == len(found["Instances"]) == 1 else None

    first = until("in service:", in_service)
    autoscaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    until("its successor:", lambda: (now := in_service()) != first and now)
    causes = autoscaling.describe_scaling_activities(AutoScalingGroupName="web")["Activities"]
    assert any("health" in activity["Cause"] for activity in causes), causes


def metrics():
    """What is put into CloudWatch comes out as statistics and as a picture."""
    cloudwatch = client("cloudwatch")
    minute = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
    for value in (1.0, 2.0, 6.0):
        datum = {"MetricName": "Load", "Timestamp": minute, "Value": value, "Unit": "Count"}
        cloudwatch.put_metric_data(Namespace="Lab", MetricData=[datum])
    answer = cloudwatch.get_metric_statistics(
        Namespace="Lab",
        MetricName="Load",
        StartTime=minute,
        EndTime=minute + datetime.timedelta(minutes=1),
        Period=60,
        Statistics=["Average", "Maximum", "SampleCount"],
    )
    [point] = answer["Datapoints"]
    assert (point["Average"], point["Maximum"], point["SampleCount"], point["Unit"]) == (3.0, 6.0, 3.0, "Count"), point
    assert point["Timestamp"] == minute, point
    names = [metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="Lab")["Metrics"]]
    assert names == ["Load"], names
    widget = '{"metrics": [["Lab", "Load"]], "width": 300, "height": 200}'
    picture = cloudwatch.get_metric_widget_image(MetricWidget=widget)["MetricWidgetImage"]
    assert picture.startswith(b"\x89PNG\r\n\x1a\n"), picture[:20]
    dashboards(cloudwatch)


def dashboards(cloudwatch):
    """A body comes back as it was sent, and one that AWS would refuse is refused in its words."""
    body = '{"widgets":  [{"type": "text", "properties": {"markdown": "caf\u00e9 & <b>"}}]}'
    put = cloudwatch.put_dashboard(DashboardName="lab", DashboardBody=body)
    assert put["DashboardValidationMessages"] == [], put
    assert cloudwatch.get_dashboard(DashboardName="lab")["DashboardBody"] == body
    [entry] = cloudwatch.list_dashboards(DashboardNamePrefix="la")["DashboardEntries"]
    assert (entry["DashboardName"], entry["Size"]) == ("lab", len(body.encode())), entry
    assert cloudwatch.list_dashboards(DashboardNamePrefix="x")["DashboardEntries"] == []
    errors = cloudwatch.exceptions
    wrong = '{"widgets": [{"type": "metric", "properties": {"region": "us-east-1", "metrics": [["AWS/EC2"]]}}]}'
    try:
        cloudwatch.put_dashboard(DashboardName="lab", DashboardBody=wrong)
        raise AssertionError("a body without a metric's name was taken")
    except errors.DashboardInvalidInputError as error:
        assert "/widgets/0/properties/metrics/0" in str(error), error
    try:
        cloudwatch.delete_dashboards(DashboardNames=["lab", "other"])
        raise AssertionError("a dashboard that is not there was deleted")
    except errors.ClientError as error:
        # Its code is shared with alarms, whose exception botocore makes of it.
        assert error.response["Error"]["Code"] == "ResourceNotFound", error
        assert "other" in str(error), error
    cloudwatch.delete_dashboards(DashboardNames=["lab"])
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []


def older_metrics():
    """The same from a client of the years when CloudWatch spoke AWS Query."""
    load = botocore.loaders.Loader.load_service_model

    def older(loader, service, kind, **version):
        model = load(loader, service, kind, **version)
        if service == "cloudwatch" and kind == "service-2":
            model["metadata"].update(protocol="query", protocols=["query"])
        return model

    botocore.loaders.Loader.load_service_model = older
    assert client("cloudwatch").meta.service_model.resolved_protocol == "query"
    metrics()


def foreign():
    """A region has one name: its first caller's."""
    ec2 = boto3.client("ec2", region_name="ca-central-1")
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    assert zones[0] == "ca-central-1a", zones
    boto3.client("sts", region_name="us-east-1").get_caller_identity()
    try:
        boto3.client("ec2", region_name="us-east-1").describe_vpcs()
        raise AssertionError("a caller of another region was served")
    except ec2.exceptions.ClientError as error:
        assert "This embedded region is ca-central-1" in str(error), error


def beginnings():
    """What scripts begin with: a key, an image, a launch configuration, zones instead of subnets; and what they ask for."""
    ec2, ssm, autoscaling, cloudwatch = (client(it) for it in ("ec2", "ssm", "autoscaling", "cloudwatch"))
    role = client("sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/lab", RoleSessionName="me")
    assert role["Credentials"]["AccessKeyId"].startswith("ASIA"), role
    key = ec2.create_key_pair(KeyName="lab", KeyType="ed25519")
    assert key["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----"), key
    [known] = ec2.describe_key_pairs(KeyNames=["lab"], IncludePublicKey=True)["KeyPairs"]
    assert known["PublicKey"].startswith("ssh-ed25519 ") and known["KeyFingerprint"] == key["KeyFingerprint"], known
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/aws/service/ami-amazon-linux-latest")
    images = {it["Name"].rsplit("/", 1)[1]: it["Value"] for page in pages for it in page["Parameters"]}
    prices = ec2.describe_spot_price_history(InstanceTypes=["t3.micro"], MaxResults=5)["SpotPriceHistory"]
    assert float(prices[0]["SpotPrice"]) > 0, prices

    autoscaling.create_launch_configuration(
        LaunchConfigurationName="web", ImageId=images["al2023-ami-kernel-default-x86_64"], InstanceType="t3.micro", KeyName="lab"
    )
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"][:2]]
    tag = {"Key": "course", "Value": "log8415", "PropagateAtLaunch": True}
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web", LaunchConfigurationName="web", MinSize=1, MaxSize=2, AvailabilityZones=zones, Tags=[tag]
    )

    def serving():
        [group] = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"]
        return [it for it in group["Instances"] if it["LifecycleState"] == "InService"]

    [instance] = until("in service", serving)
    assert instance["LaunchConfigurationName"] == "web" and instance["AvailabilityZone"] in zones, instance
    [shown] = autoscaling.describe_launch_configurations()["LaunchConfigurations"]
    assert shown["InstanceMonitoring"]["Enabled"] and shown["KeyName"] == "lab", shown
    limits = autoscaling.describe_account_limits()
    assert (limits["NumberOfAutoScalingGroups"], limits["NumberOfLaunchConfigurations"]) == (1, 1), limits
    assert len(autoscaling.describe_lifecycle_hook_types()["LifecycleHookTypes"]) == 2

    ident = instance["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=ident, DisableApiTermination={"Value": True})
    attribute = ec2.describe_instance_attribute(InstanceId=ident, Attribute="disableApiTermination")
    assert attribute["DisableApiTermination"]["Value"], attribute
    assert ec2.get_console_output(InstanceId=ident)["InstanceId"] == ident
    resources = client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(
        TagFilters=[{"Key": "course", "Values": ["log8415"]}], ResourceTypeFilters=["ec2:instance"]
    )
    [found] = [it["ResourceARN"] for page in resources for it in page["ResourceTagMappingList"]]
    assert found.endswith(f":instance/{ident}"), found

    autoscaling.put_warm_pool(AutoScalingGroupName="web", PoolState="Running")

    def warmed():
        pool = autoscaling.describe_warm_pool(AutoScalingGroupName="web")
        return [it for it in pool["Instances"] if it["LifecycleState"] == "Warmed:Running"]

    until("warmed", warmed)
    autoscaling.put_notification_configuration(
        AutoScalingGroupName="web",
        TopicARN="arn:aws:sns:us-east-1:000000000000:lab",
        NotificationTypes=["autoscaling:EC2_INSTANCE_TERMINATE"],
    )
    alarm = {"Namespace": "Lab", "MetricName": "Errors", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    cloudwatch.put_metric_alarm(
        AlarmName="errors", ComparisonOperator="GreaterThanThreshold", Threshold=1, TreatMissingData="ignore", **alarm
    )
    cloudwatch.put_composite_alarm(AlarmName="page", AlarmRule="ALARM(errors)")
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a test")
    [page] = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert page["StateValue"] == "ALARM", page
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName="web", ForceDelete=True)


STORIES = (instances, network, group, metrics, older_metrics, foreign, beginnings)
{story.__name__: story for story in STORIES}[sys.argv[1]]()
