//! The operations, one file per noun of the API. Each reads its parameters, changes or asks the groups, and answers.
//!
//! Here each is declared with the parameters that it knows (`region/wire/operation.rs` has the notation): a parameter
//! that is not in the list is refused by name.

mod configurations;
mod groups;
mod hooks;
mod instances;
mod kinds;
mod notifications;
mod policies;
mod refreshes;
mod schedules;
mod tags;
#[cfg(test)]
mod tests;
mod warm_pools;

use super::model::Autoscaling;
use crate::region::wire::operation;

type Operation = operation::Operation<Autoscaling>;

/// In the order of the nouns.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateAutoScalingGroup", "AutoScalingGroupName LaunchConfigurationName AvailabilityZones[] LaunchTemplate{LaunchTemplateId LaunchTemplateName Version} \
         MixedInstancesPolicy{LaunchTemplate{LaunchTemplateSpecification{LaunchTemplateId \
         LaunchTemplateName Version} Overrides[]{InstanceType WeightedCapacity}} \
         InstancesDistribution{OnDemandAllocationStrategy OnDemandBaseCapacity \
         OnDemandPercentageAboveBaseCapacity SpotAllocationStrategy SpotInstancePools SpotMaxPrice}} \
         MinSize MaxSize DesiredCapacity DefaultCooldown DefaultInstanceWarmup HealthCheckType \
         HealthCheckGracePeriod VPCZoneIdentifier TerminationPolicies[] NewInstancesProtectedFromScaleIn \
         CapacityRebalance MaxInstanceLifetime DesiredCapacityType=units InstanceMaintenancePolicy{MinHealthyPercentage MaxHealthyPercentage} \
         AvailabilityZoneDistribution{CapacityDistributionStrategy=balanced-best-effort} \
         CapacityReservationSpecification{CapacityReservationPreference=default} DeletionProtection=none \
         TargetGroupARNs[] TrafficSources[]{Identifier Type=elbv2} LifecycleHookSpecificationList[]{LifecycleHookName LifecycleTransition NotificationMetadata \
         HeartbeatTimeout DefaultResult NotificationTargetARN RoleARN} Tags[]{ResourceId \
         ResourceType=auto-scaling-group Key Value PropagateAtLaunch}", groups::create).differs("Spot instances are interrupted by `cloudscale chaos interrupt` only."),
    Operation::new("UpdateAutoScalingGroup", "AutoScalingGroupName LaunchConfigurationName AvailabilityZones[] LaunchTemplate{LaunchTemplateId LaunchTemplateName Version} \
         MixedInstancesPolicy{LaunchTemplate{LaunchTemplateSpecification{LaunchTemplateId \
         LaunchTemplateName Version} Overrides[]{InstanceType WeightedCapacity}} \
         InstancesDistribution{OnDemandAllocationStrategy OnDemandBaseCapacity \
         OnDemandPercentageAboveBaseCapacity SpotAllocationStrategy SpotInstancePools SpotMaxPrice}} \
         MinSize MaxSize DesiredCapacity DefaultCooldown DefaultInstanceWarmup HealthCheckType \
         HealthCheckGracePeriod VPCZoneIdentifier TerminationPolicies[] NewInstancesProtectedFromScaleIn \
         CapacityRebalance MaxInstanceLifetime DesiredCapacityType=units InstanceMaintenancePolicy{MinHealthyPercentage MaxHealthyPercentage} \
         AvailabilityZoneDistribution{CapacityDistributionStrategy=balanced-best-effort} \
         CapacityReservationSpecification{CapacityReservationPreference=default} DeletionProtection=none", groups::update),
    Operation::new("DeleteAutoScalingGroup", "AutoScalingGroupName ForceDelete", groups::delete),
    Operation::new("DescribeAutoScalingGroups", "AutoScalingGroupNames[] Filters[]{Name Values[]} MaxRecords NextToken", |service, _, params| groups::describe(service, params)),
    Operation::new("SetDesiredCapacity", "AutoScalingGroupName DesiredCapacity HonorCooldown", groups::set_desired_capacity),
    Operation::new("SuspendProcesses", "AutoScalingGroupName ScalingProcesses[]", |service, _, params| groups::suspend(service, params)),
    Operation::new("ResumeProcesses", "AutoScalingGroupName ScalingProcesses[]", groups::resume),
    Operation::new("EnableMetricsCollection", "AutoScalingGroupName Metrics[] Granularity", groups::enable_metrics),
    Operation::new("DisableMetricsCollection", "AutoScalingGroupName Metrics[]", |service, _, params| groups::disable_metrics(service, params)),
    Operation::new("DescribeScalingActivities", "AutoScalingGroupName ActivityIds[] IncludeDeletedGroups MaxRecords NextToken", |service, _, params| groups::activities(service, params)),
    Operation::new("AttachLoadBalancerTargetGroups", "AutoScalingGroupName TargetGroupARNs[]", groups::attach_target_groups),
    Operation::new("AttachTrafficSources", "AutoScalingGroupName TrafficSources[]{Identifier Type=elbv2}", groups::attach_target_groups),
    Operation::new("DetachLoadBalancerTargetGroups", "AutoScalingGroupName TargetGroupARNs[]", groups::detach_target_groups),
    Operation::new("DetachTrafficSources", "AutoScalingGroupName TrafficSources[]{Identifier Type=elbv2}", groups::detach_target_groups),
    Operation::new("DescribeLoadBalancerTargetGroups", "AutoScalingGroupName MaxRecords NextToken", |service, _, params| groups::target_groups(service, params)),
    Operation::new("DescribeTrafficSources", "AutoScalingGroupName TrafficSourceType=elbv2 MaxRecords NextToken", |service, _, params| groups::traffic_sources(service, params)),
    Operation::new("PutLifecycleHook", "AutoScalingGroupName LifecycleHookName LifecycleTransition NotificationMetadata HeartbeatTimeout \
         DefaultResult NotificationTargetARN RoleARN", hooks::put).differs("Nothing is sent: notifications are kept and read by `GET /_cloudscale/notifications` of the endpoint."),
    Operation::new("DeleteLifecycleHook", "AutoScalingGroupName LifecycleHookName", hooks::delete),
    Operation::new("DescribeLifecycleHooks", "AutoScalingGroupName LifecycleHookNames[]", |service, _, params| hooks::describe(service, params)),
    Operation::new("DescribeLifecycleHookTypes", "", |_, _, _| hooks::describe_types()),
    Operation::new("CompleteLifecycleAction", "AutoScalingGroupName LifecycleHookName LifecycleActionResult LifecycleActionToken InstanceId", hooks::complete),
    Operation::new("RecordLifecycleActionHeartbeat", "AutoScalingGroupName LifecycleHookName LifecycleActionToken InstanceId", hooks::heartbeat),
    Operation::new("DescribeAutoScalingInstances", "InstanceIds[] MaxRecords NextToken", |service, _, params| instances::describe(service, params)),
    Operation::new("TerminateInstanceInAutoScalingGroup", "InstanceId ShouldDecrementDesiredCapacity", instances::terminate),
    Operation::new("SetInstanceHealth", "InstanceId HealthStatus ShouldRespectGracePeriod", instances::set_health),
    Operation::new("SetInstanceProtection", "AutoScalingGroupName InstanceIds[] ProtectedFromScaleIn", instances::set_protection),
    Operation::new("AttachInstances", "AutoScalingGroupName InstanceIds[]", instances::attach),
    Operation::new("DetachInstances", "AutoScalingGroupName InstanceIds[] ShouldDecrementDesiredCapacity", instances::detach),
    Operation::new("EnterStandby", "AutoScalingGroupName InstanceIds[] ShouldDecrementDesiredCapacity", instances::enter_standby),
    Operation::new("ExitStandby", "AutoScalingGroupName InstanceIds[]", instances::exit_standby),
    Operation::new("PutScalingPolicy", "AutoScalingGroupName PolicyName PolicyType AdjustmentType MinAdjustmentStep \
         MinAdjustmentMagnitude ScalingAdjustment Cooldown MetricAggregationType \
         StepAdjustments[]{MetricIntervalLowerBound MetricIntervalUpperBound ScalingAdjustment} \
         EstimatedInstanceWarmup Enabled TargetTrackingConfiguration{TargetValue DisableScaleIn \
         PredefinedMetricSpecification{PredefinedMetricType ResourceLabel} \
         CustomizedMetricSpecification{MetricName Namespace Dimensions[]{Name Value} Statistic Unit \
         Period Metrics[]{Id Expression MetricStat{Metric{Namespace MetricName Dimensions[]{Name Value}} \
         Stat Unit Period} Label Period ReturnData}}} \
         PredictiveScalingConfiguration{MetricSpecifications[]{TargetValue \
         PredefinedMetricPairSpecification{PredefinedMetricType ResourceLabel} \
         PredefinedScalingMetricSpecification{PredefinedMetricType ResourceLabel} \
         PredefinedLoadMetricSpecification{PredefinedMetricType ResourceLabel} \
         CustomizedScalingMetricSpecification{MetricDataQueries[]{Id Expression MetricStat{Metric{Namespace MetricName \
         Dimensions[]{Name Value}} Stat Unit} Label ReturnData}} \
         CustomizedLoadMetricSpecification{MetricDataQueries[]{Id Expression MetricStat{Metric{Namespace MetricName \
         Dimensions[]{Name Value}} Stat Unit} Label ReturnData}} \
         CustomizedCapacityMetricSpecification{MetricDataQueries[]{Id Expression MetricStat{Metric{Namespace MetricName \
         Dimensions[]{Name Value}} Stat Unit} Label ReturnData}}} Mode SchedulingBufferTime MaxCapacityBreachBehavior \
         MaxCapacityBuffer}", policies::put).differs("A predictive forecast is the mean of the same hour of the last two weeks, or of the last days where a week is not known yet."),
    Operation::new("GetPredictiveScalingForecast", "AutoScalingGroupName PolicyName StartTime EndTime", |service, _, params| policies::forecast(service, params)),
    Operation::new("DescribePolicies", "AutoScalingGroupName PolicyNames[] PolicyTypes[] MaxRecords NextToken", |service, cx, params| policies::describe(service, cx, params)),
    Operation::new("DeletePolicy", "AutoScalingGroupName PolicyName", policies::delete),
    Operation::new("ExecutePolicy", "AutoScalingGroupName PolicyName HonorCooldown MetricValue BreachThreshold", policies::execute),
    Operation::new("PutScheduledUpdateGroupAction", "AutoScalingGroupName Time ScheduledActionName StartTime EndTime Recurrence MinSize MaxSize \
         DesiredCapacity TimeZone", schedules::put),
    Operation::new("BatchPutScheduledUpdateGroupAction", "AutoScalingGroupName ScheduledUpdateGroupActions[]{ScheduledActionName StartTime EndTime \
         Recurrence MinSize MaxSize DesiredCapacity TimeZone}", schedules::batch_put),
    Operation::new("DescribeScheduledActions", "AutoScalingGroupName ScheduledActionNames[] StartTime EndTime MaxRecords NextToken", |service, _, params| schedules::describe(service, params)),
    Operation::new("DeleteScheduledAction", "AutoScalingGroupName ScheduledActionName", |service, _, params| schedules::delete(service, params)),
    Operation::new("BatchDeleteScheduledAction", "AutoScalingGroupName ScheduledActionNames[]", |service, _, params| schedules::batch_delete(service, params)),
    Operation::new("StartInstanceRefresh", "AutoScalingGroupName Strategy DesiredConfiguration{LaunchTemplate{LaunchTemplateId \
         LaunchTemplateName Version} \
         MixedInstancesPolicy{LaunchTemplate{LaunchTemplateSpecification{LaunchTemplateId \
         LaunchTemplateName Version} Overrides[]{InstanceType WeightedCapacity}} \
         InstancesDistribution{OnDemandAllocationStrategy OnDemandBaseCapacity \
         OnDemandPercentageAboveBaseCapacity SpotAllocationStrategy SpotInstancePools SpotMaxPrice}}} \
         Preferences{MinHealthyPercentage MaxHealthyPercentage InstanceWarmup SkipMatching AutoRollback \
         ScaleInProtectedInstances StandbyInstances CheckpointDelay CheckpointPercentages[] BakeTime \
         AlarmSpecification{Alarms[]}}", refreshes::start),
    Operation::new("CancelInstanceRefresh", "AutoScalingGroupName", refreshes::cancel),
    Operation::new("RollbackInstanceRefresh", "AutoScalingGroupName", refreshes::roll_back),
    Operation::new("DescribeInstanceRefreshes", "AutoScalingGroupName InstanceRefreshIds[] MaxRecords NextToken", |service, _, params| refreshes::describe(service, params)),
    Operation::new("CreateOrUpdateTags", "Tags[]{ResourceId ResourceType=auto-scaling-group Key Value PropagateAtLaunch}", |service, _, params| tags::put(service, params)),
    Operation::new("DeleteTags", "Tags[]{ResourceId ResourceType=auto-scaling-group Key Value PropagateAtLaunch}", |service, _, params| tags::delete(service, params)),
    Operation::new("DescribeTags", "Filters[]{Name Values[]} MaxRecords NextToken", |service, _, params| tags::describe(service, params)),
    Operation::new("DescribeAdjustmentTypes", "", |service, _, params| kinds::call(service, "DescribeAdjustmentTypes", params)),
    Operation::new("DescribeTerminationPolicyTypes", "", |service, _, params| kinds::call(service, "DescribeTerminationPolicyTypes", params)),
    Operation::new("DescribeScalingProcessTypes", "", |service, _, params| kinds::call(service, "DescribeScalingProcessTypes", params)),
    Operation::new("DescribeMetricCollectionTypes", "", |service, _, params| kinds::call(service, "DescribeMetricCollectionTypes", params)),
    Operation::new("DescribeAccountLimits", "", |service, _, params| kinds::call(service, "DescribeAccountLimits", params)),
    Operation::new("DescribeLoadBalancers", "AutoScalingGroupName MaxRecords NextToken", |service, _, params| kinds::call(service, "DescribeLoadBalancers", params)).differs("There are no classic load balancers."),
    Operation::new("PutWarmPool", "AutoScalingGroupName MaxGroupPreparedCapacity MinSize PoolState=Stopped|Running InstanceReusePolicy{ReuseOnScaleIn}", warm_pools::put)
        .differs("No hibernation. Another PoolState holds for what enters the pool from then on. A started instance's user data runs again."),
    Operation::new("DeleteWarmPool", "AutoScalingGroupName ForceDelete", warm_pools::delete),
    Operation::new("DescribeWarmPool", "AutoScalingGroupName MaxRecords NextToken", |service, _, params| warm_pools::describe(service, params)),
    Operation::new("PutNotificationConfiguration", "AutoScalingGroupName TopicARN NotificationTypes[]", notifications::put)
        .differs("Nothing is sent: the last 1,000 notifications are read by `GET /_cloudscale/notifications` of the endpoint."),
    Operation::new("DeleteNotificationConfiguration", "AutoScalingGroupName TopicARN", |service, _, params| notifications::delete(service, params)),
    Operation::new("DescribeNotificationConfigurations", "AutoScalingGroupNames[] MaxRecords NextToken", |service, _, params| notifications::describe(service, params)),
    Operation::new("DescribeAutoScalingNotificationTypes", "", |_, _, _| notifications::describe_types()),
    Operation::new("CreateLaunchConfiguration", "LaunchConfigurationName ImageId InstanceType KeyName SecurityGroups[] UserData \
         InstanceMonitoring{Enabled} IamInstanceProfile EbsOptimized AssociatePublicIpAddress PlacementTenancy=default SpotPrice \
         BlockDeviceMappings[]{DeviceName Ebs{VolumeSize VolumeType DeleteOnTermination Iops Throughput Encrypted}} \
         MetadataOptions{HttpTokens HttpPutResponseHopLimit HttpEndpoint}", configurations::create),
    Operation::new("DeleteLaunchConfiguration", "LaunchConfigurationName", |service, _, params| configurations::delete(service, params)),
    Operation::new("DescribeLaunchConfigurations", "LaunchConfigurationNames[] MaxRecords NextToken", |service, _, params| configurations::describe(service, params)),
];
