//! The operations, one file per noun of the API. Each reads its parameters, changes or asks the groups, and answers.
//!
//! Here each is declared with the parameters that it knows (`region/wire/operation.rs` has the notation): a parameter
//! that is not in the list is refused by name.

mod groups;
mod instances;
mod kinds;
mod policies;
mod refreshes;
mod schedules;
mod tags;

use super::model::Autoscaling;
use crate::region::wire::operation;

type Operation = operation::Operation<Autoscaling>;

/// In the order of the nouns.
pub const OPERATIONS: &[Operation] = &[
    Operation::new("CreateAutoScalingGroup", "AutoScalingGroupName LaunchTemplate{LaunchTemplateId LaunchTemplateName Version} \
         MixedInstancesPolicy{LaunchTemplate{LaunchTemplateSpecification{LaunchTemplateId \
         LaunchTemplateName Version} Overrides[]{InstanceType}} \
         InstancesDistribution{OnDemandAllocationStrategy OnDemandBaseCapacity \
         OnDemandPercentageAboveBaseCapacity SpotAllocationStrategy SpotInstancePools SpotMaxPrice}} \
         MinSize MaxSize DesiredCapacity DefaultCooldown DefaultInstanceWarmup HealthCheckType \
         HealthCheckGracePeriod VPCZoneIdentifier TerminationPolicies[] NewInstancesProtectedFromScaleIn \
         CapacityRebalance MaxInstanceLifetime=0 DesiredCapacityType=units \
         AvailabilityZoneDistribution{CapacityDistributionStrategy=balanced-best-effort} \
         CapacityReservationSpecification{CapacityReservationPreference=default} DeletionProtection=none \
         TargetGroupARNs[] TrafficSources[]{Identifier Type=elbv2} Tags[]{ResourceId \
         ResourceType=auto-scaling-group Key Value PropagateAtLaunch}", |service, cx, params| groups::create(service, cx, params)).differs("Groups are placed by VPCZoneIdentifier. CapacityRebalance has nothing to act on: spot instances are never interrupted."),
    Operation::new("UpdateAutoScalingGroup", "AutoScalingGroupName LaunchTemplate{LaunchTemplateId LaunchTemplateName Version} \
         MixedInstancesPolicy{LaunchTemplate{LaunchTemplateSpecification{LaunchTemplateId \
         LaunchTemplateName Version} Overrides[]{InstanceType}} \
         InstancesDistribution{OnDemandAllocationStrategy OnDemandBaseCapacity \
         OnDemandPercentageAboveBaseCapacity SpotAllocationStrategy SpotInstancePools SpotMaxPrice}} \
         MinSize MaxSize DesiredCapacity DefaultCooldown DefaultInstanceWarmup HealthCheckType \
         HealthCheckGracePeriod VPCZoneIdentifier TerminationPolicies[] NewInstancesProtectedFromScaleIn \
         CapacityRebalance MaxInstanceLifetime=0 DesiredCapacityType=units \
         AvailabilityZoneDistribution{CapacityDistributionStrategy=balanced-best-effort} \
         CapacityReservationSpecification{CapacityReservationPreference=default} DeletionProtection=none", |service, cx, params| groups::update(service, cx, params)),
    Operation::new("DeleteAutoScalingGroup", "AutoScalingGroupName ForceDelete", |service, cx, params| groups::delete(service, cx, params)),
    Operation::new("DescribeAutoScalingGroups", "AutoScalingGroupNames[] Filters[]{Name Values[]} MaxRecords NextToken", |service, _, params| groups::describe(service, params)),
    Operation::new("SetDesiredCapacity", "AutoScalingGroupName DesiredCapacity HonorCooldown", |service, cx, params| groups::set_desired_capacity(service, cx, params)),
    Operation::new("SuspendProcesses", "AutoScalingGroupName ScalingProcesses[]", |service, _, params| groups::suspend(service, params)),
    Operation::new("ResumeProcesses", "AutoScalingGroupName ScalingProcesses[]", |service, cx, params| groups::resume(service, cx, params)),
    Operation::new("EnableMetricsCollection", "AutoScalingGroupName Metrics[] Granularity", |service, cx, params| groups::enable_metrics(service, cx, params)),
    Operation::new("DisableMetricsCollection", "AutoScalingGroupName Metrics[]", |service, _, params| groups::disable_metrics(service, params)),
    Operation::new("DescribeScalingActivities", "AutoScalingGroupName ActivityIds[] IncludeDeletedGroups MaxRecords NextToken", |service, _, params| groups::activities(service, params)),
    Operation::new("AttachLoadBalancerTargetGroups", "AutoScalingGroupName TargetGroupARNs[]", |service, cx, params| groups::attach_target_groups(service, cx, params)),
    Operation::new("AttachTrafficSources", "AutoScalingGroupName TrafficSources[]{Identifier Type=elbv2}", |service, cx, params| groups::attach_target_groups(service, cx, params)),
    Operation::new("DetachLoadBalancerTargetGroups", "AutoScalingGroupName TargetGroupARNs[]", |service, cx, params| groups::detach_target_groups(service, cx, params)),
    Operation::new("DetachTrafficSources", "AutoScalingGroupName TrafficSources[]{Identifier Type=elbv2}", |service, cx, params| groups::detach_target_groups(service, cx, params)),
    Operation::new("DescribeLoadBalancerTargetGroups", "AutoScalingGroupName MaxRecords NextToken", |service, _, params| groups::target_groups(service, params)),
    Operation::new("DescribeTrafficSources", "AutoScalingGroupName TrafficSourceType=elbv2 MaxRecords NextToken", |service, _, params| groups::traffic_sources(service, params)),
    Operation::new("DescribeAutoScalingInstances", "InstanceIds[] MaxRecords NextToken", |service, _, params| instances::describe(service, params)),
    Operation::new("TerminateInstanceInAutoScalingGroup", "InstanceId ShouldDecrementDesiredCapacity", |service, cx, params| instances::terminate(service, cx, params)),
    Operation::new("SetInstanceHealth", "InstanceId HealthStatus ShouldRespectGracePeriod", |service, cx, params| instances::set_health(service, cx, params)),
    Operation::new("SetInstanceProtection", "AutoScalingGroupName InstanceIds[] ProtectedFromScaleIn", |service, cx, params| instances::set_protection(service, cx, params)),
    Operation::new("AttachInstances", "AutoScalingGroupName InstanceIds[]", |service, cx, params| instances::attach(service, cx, params)),
    Operation::new("DetachInstances", "AutoScalingGroupName InstanceIds[] ShouldDecrementDesiredCapacity", |service, cx, params| instances::detach(service, cx, params)),
    Operation::new("EnterStandby", "AutoScalingGroupName InstanceIds[] ShouldDecrementDesiredCapacity", |service, cx, params| instances::enter_standby(service, cx, params)),
    Operation::new("ExitStandby", "AutoScalingGroupName InstanceIds[]", |service, cx, params| instances::exit_standby(service, cx, params)),
    Operation::new("PutScalingPolicy", "AutoScalingGroupName PolicyName PolicyType AdjustmentType MinAdjustmentStep \
         MinAdjustmentMagnitude ScalingAdjustment Cooldown MetricAggregationType \
         StepAdjustments[]{MetricIntervalLowerBound MetricIntervalUpperBound ScalingAdjustment} \
         EstimatedInstanceWarmup Enabled TargetTrackingConfiguration{TargetValue DisableScaleIn \
         PredefinedMetricSpecification{PredefinedMetricType ResourceLabel} \
         CustomizedMetricSpecification{MetricName Namespace Dimensions[]{Name Value} Statistic Unit \
         Period Metrics[]{Id Expression MetricStat{Metric{Namespace MetricName Dimensions[]{Name Value}} \
         Stat Unit Period} Label Period ReturnData}}}", |service, cx, params| policies::put(service, cx, params)),
    Operation::new("DescribePolicies", "AutoScalingGroupName PolicyNames[] PolicyTypes[] MaxRecords NextToken", |service, cx, params| policies::describe(service, cx, params)),
    Operation::new("DeletePolicy", "AutoScalingGroupName PolicyName", |service, cx, params| policies::delete(service, cx, params)),
    Operation::new("ExecutePolicy", "AutoScalingGroupName PolicyName HonorCooldown MetricValue BreachThreshold", |service, cx, params| policies::execute(service, cx, params)),
    Operation::new("PutScheduledUpdateGroupAction", "AutoScalingGroupName Time ScheduledActionName StartTime EndTime Recurrence MinSize MaxSize \
         DesiredCapacity TimeZone", |service, cx, params| schedules::put(service, cx, params)),
    Operation::new("BatchPutScheduledUpdateGroupAction", "AutoScalingGroupName ScheduledUpdateGroupActions[]{ScheduledActionName StartTime EndTime \
         Recurrence MinSize MaxSize DesiredCapacity TimeZone}", |service, cx, params| schedules::batch_put(service, cx, params)),
    Operation::new("DescribeScheduledActions", "AutoScalingGroupName ScheduledActionNames[] StartTime EndTime MaxRecords NextToken", |service, _, params| schedules::describe(service, params)),
    Operation::new("DeleteScheduledAction", "AutoScalingGroupName ScheduledActionName", |service, _, params| schedules::delete(service, params)),
    Operation::new("BatchDeleteScheduledAction", "AutoScalingGroupName ScheduledActionNames[]", |service, _, params| schedules::batch_delete(service, params)),
    Operation::new("StartInstanceRefresh", "AutoScalingGroupName Strategy DesiredConfiguration{LaunchTemplate{LaunchTemplateId \
         LaunchTemplateName Version} \
         MixedInstancesPolicy{LaunchTemplate{LaunchTemplateSpecification{LaunchTemplateId \
         LaunchTemplateName Version} Overrides[]{InstanceType}} \
         InstancesDistribution{OnDemandAllocationStrategy OnDemandBaseCapacity \
         OnDemandPercentageAboveBaseCapacity SpotAllocationStrategy SpotInstancePools SpotMaxPrice}}} \
         Preferences{MinHealthyPercentage MaxHealthyPercentage InstanceWarmup SkipMatching AutoRollback \
         ScaleInProtectedInstances StandbyInstances CheckpointDelay CheckpointPercentages[] BakeTime \
         AlarmSpecification{Alarms[]}}", |service, cx, params| refreshes::start(service, cx, params)),
    Operation::new("CancelInstanceRefresh", "AutoScalingGroupName", |service, cx, params| refreshes::cancel(service, cx, params)),
    Operation::new("RollbackInstanceRefresh", "AutoScalingGroupName", |service, cx, params| refreshes::roll_back(service, cx, params)),
    Operation::new("DescribeInstanceRefreshes", "AutoScalingGroupName InstanceRefreshIds[] MaxRecords NextToken", |service, _, params| refreshes::describe(service, params)),
    Operation::new("CreateOrUpdateTags", "Tags[]{ResourceId ResourceType=auto-scaling-group Key Value PropagateAtLaunch}", |service, _, params| tags::put(service, params)),
    Operation::new("DeleteTags", "Tags[]{ResourceId ResourceType=auto-scaling-group Key Value PropagateAtLaunch}", |service, _, params| tags::delete(service, params)),
    Operation::new("DescribeTags", "Filters[]{Name Values[]} MaxRecords NextToken", |service, _, params| tags::describe(service, params)),
    Operation::new("DescribeAdjustmentTypes", "", |service, _, params| kinds::call(service, "DescribeAdjustmentTypes", params)),
    Operation::new("DescribeTerminationPolicyTypes", "", |service, _, params| kinds::call(service, "DescribeTerminationPolicyTypes", params)),
    Operation::new("DescribeScalingProcessTypes", "", |service, _, params| kinds::call(service, "DescribeScalingProcessTypes", params)),
    Operation::new("DescribeMetricCollectionTypes", "", |service, _, params| kinds::call(service, "DescribeMetricCollectionTypes", params)),
    Operation::new("DescribeAccountLimits", "", |service, _, params| kinds::call(service, "DescribeAccountLimits", params)),
    Operation::new("DescribeLifecycleHooks", "AutoScalingGroupName LifecycleHookNames[]", |service, _, params| kinds::call(service, "DescribeLifecycleHooks", params)).differs("There are none."),
    Operation::new("DescribeLoadBalancers", "AutoScalingGroupName MaxRecords NextToken", |service, _, params| kinds::call(service, "DescribeLoadBalancers", params)).differs("There are no classic load balancers."),
    Operation::new("DescribeWarmPool", "AutoScalingGroupName MaxRecords NextToken", |service, _, params| kinds::call(service, "DescribeWarmPool", params)).differs("There are none."),
    Operation::new("DescribeNotificationConfigurations", "AutoScalingGroupNames[] MaxRecords NextToken", |service, _, params| kinds::call(service, "DescribeNotificationConfigurations", params)).differs("There are none."),
    Operation::new("DescribeLaunchConfigurations", "LaunchConfigurationNames[] MaxRecords NextToken", |service, _, params| kinds::call(service, "DescribeLaunchConfigurations", params)).differs("There are none."),
];
