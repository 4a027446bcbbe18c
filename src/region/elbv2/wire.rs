//! Every operation of Elastic Load Balancing, as it is declared: the parameters that it knows, and what runs it.

use super::limits;
use super::model::Elbv2;
use crate::region::context::Context;
use crate::region::wire::operation;
use crate::region::wire::{Answer, Request};

type Operation = operation::Operation<Elbv2>;

/// In the order of the nouns.
pub const OPERATIONS: &[Operation] = &[
    Operation::new(
        "CreateLoadBalancer",
        "Name Subnets[] SubnetMappings[]{SubnetId} SecurityGroups[] Scheme Type=application \
         IpAddressType=ipv4 Tags[]{Key Value}",
        |it, cx, params| it.create_load_balancer(cx, params),
    )
    .differs("Active after half a second. One address serves all zones. Security groups are kept and shown."),
    Operation::new("DescribeLoadBalancers", "LoadBalancerArns[] Names[] Marker PageSize", |it, cx, params| {
        it.describe_load_balancers(cx, params)
    }),
    Operation::new("DeleteLoadBalancer", "LoadBalancerArn", |it, cx, params| it.delete_load_balancer(cx, params)),
    Operation::new("DescribeLoadBalancerAttributes", "LoadBalancerArn", |it, _, params| {
        it.describe_load_balancer_attributes(params)
    }),
    Operation::new("ModifyLoadBalancerAttributes", "LoadBalancerArn Attributes[]{Key Value}", |it, _, params| {
        it.modify_load_balancer_attributes(params)
    })
    .differs("Access logs go into the folder `s3/BUCKET` of the region's home. No connection logs; load balancing over zones is always on."),
    Operation::new("SetSecurityGroups", "LoadBalancerArn SecurityGroups[]", |it, cx, params| {
        it.set_security_groups(cx, params)
    }),
    Operation::new(
        "SetSubnets",
        "LoadBalancerArn Subnets[] SubnetMappings[]{SubnetId} IpAddressType=ipv4",
        |it, cx, params| it.set_subnets(cx, params),
    ),
    Operation::new("DescribeCapacityReservation", "LoadBalancerArn", |it, _, params| {
        it.describe_capacity_reservation(params)
    }),
    Operation::new("SetIpAddressType", "LoadBalancerArn IpAddressType=ipv4", |it, _, params| {
        it.set_ip_address_type(params)
    }),
    Operation::new(
        "CreateTargetGroup",
        "Name Protocol=HTTP ProtocolVersion=HTTP1 Port VpcId TargetType=instance|ip IpAddressType=ipv4 \
         HealthCheckProtocol=HTTP HealthCheckPort HealthCheckEnabled=true HealthCheckPath \
         HealthCheckIntervalSeconds HealthCheckTimeoutSeconds HealthyThresholdCount \
         UnhealthyThresholdCount Matcher{HttpCode} Tags[]{Key Value}",
        |it, cx, params| it.create_target_group(cx, params),
    )
    .differs("Targets of type `ip` are addresses of the region's instances."),
    Operation::new(
        "DescribeTargetGroups",
        "LoadBalancerArn TargetGroupArns[] Names[] Marker PageSize",
        |it, _, params| it.describe_target_groups(params),
    ),
    Operation::new(
        "ModifyTargetGroup",
        "TargetGroupArn HealthCheckProtocol=HTTP HealthCheckPort HealthCheckEnabled=true HealthCheckPath \
         HealthCheckIntervalSeconds HealthCheckTimeoutSeconds HealthyThresholdCount \
         UnhealthyThresholdCount Matcher{HttpCode}",
        |it, _, params| it.modify_target_group(params),
    ),
    Operation::new("DeleteTargetGroup", "TargetGroupArn", |it, _, params| it.delete_target_group(params)),
    Operation::new("DescribeTargetGroupAttributes", "TargetGroupArn", |it, _, params| {
        it.describe_target_group_attributes(params)
    }),
    Operation::new("ModifyTargetGroupAttributes", "TargetGroupArn Attributes[]{Key Value}", |it, _, params| {
        it.modify_target_group_attributes(params)
    }),
    Operation::new("RegisterTargets", "TargetGroupArn Targets[]{Id Port}", |it, cx, params| {
        it.register_targets(cx, params)
    }),
    Operation::new("DeregisterTargets", "TargetGroupArn Targets[]{Id Port}", |it, cx, params| {
        it.deregister_targets(cx, params)
    }),
    Operation::new("DescribeTargetHealth", "TargetGroupArn Targets[]{Id Port}", |it, _, params| {
        it.describe_target_health(params)
    }),
    Operation::new(
        "CreateListener",
        "LoadBalancerArn Protocol Port SslPolicy Certificates[]{CertificateArn} DefaultActions[]{Type \
         TargetGroupArn Order RedirectConfig{Protocol Port Host Path Query StatusCode} \
         FixedResponseConfig{MessageBody StatusCode ContentType} \
         ForwardConfig{TargetGroups[]{TargetGroupArn Weight} TargetGroupStickinessConfig{Enabled \
         DurationSeconds}}} Tags[]{Key Value}",
        |it, cx, params| it.create_listener(cx, params),
    )
    .differs("An HTTPS listener is served with a certificate of the region's own, in TLS 1.2 and 1.3, whatever it names. HTTP/2 heads are limited as those of HTTP/1.1, not by the compressed length of a header."),
    Operation::new("DescribeListeners", "LoadBalancerArn ListenerArns[] Marker PageSize", |it, _, params| {
        it.describe_listeners(params)
    }),
    Operation::new(
        "ModifyListener",
        "ListenerArn Port Protocol SslPolicy Certificates[]{CertificateArn} DefaultActions[]{Type \
         TargetGroupArn Order RedirectConfig{Protocol Port Host Path Query StatusCode} \
         FixedResponseConfig{MessageBody StatusCode ContentType} \
         ForwardConfig{TargetGroups[]{TargetGroupArn Weight} TargetGroupStickinessConfig{Enabled \
         DurationSeconds}}}",
        |it, _, params| it.modify_listener(params),
    ),
    Operation::new("DeleteListener", "ListenerArn", |it, _, params| it.delete_listener(params)),
    Operation::new("AddListenerCertificates", "ListenerArn Certificates[]{CertificateArn}", |it, _, params| {
        it.add_listener_certificates(params)
    }),
    Operation::new("RemoveListenerCertificates", "ListenerArn Certificates[]{CertificateArn}", |it, _, params| {
        it.remove_listener_certificates(params)
    }),
    Operation::new("DescribeListenerCertificates", "ListenerArn Marker PageSize", |it, _, params| {
        it.describe_listener_certificates(params)
    }),
    Operation::new("DescribeListenerAttributes", "ListenerArn", |it, _, params| {
        it.describe_listener_attributes(params)
    }),
    Operation::new("ModifyListenerAttributes", "ListenerArn Attributes[]{Key Value}", |it, _, params| {
        it.modify_listener_attributes(params)
    }),
    Operation::new(
        "CreateRule",
        "ListenerArn Priority Conditions[]{Field Values[] RegexValues[] HostHeaderConfig{Values[] RegexValues[]} \
         PathPatternConfig{Values[] RegexValues[]} HttpHeaderConfig{HttpHeaderName Values[] RegexValues[]} \
         QueryStringConfig{Values[]{Key Value}} HttpRequestMethodConfig{Values[]} \
         SourceIpConfig{Values[]}} Actions[]{Type TargetGroupArn Order RedirectConfig{Protocol Port Host \
         Path Query StatusCode} FixedResponseConfig{MessageBody StatusCode ContentType} \
         ForwardConfig{TargetGroups[]{TargetGroupArn Weight} TargetGroupStickinessConfig{Enabled \
         DurationSeconds}}} Tags[]{Key Value} Transforms[]{Type HostHeaderRewriteConfig{Rewrites[]{Regex Replace}} \
         UrlRewriteConfig{Rewrites[]{Regex Replace}}}",
        |it, cx, params| it.create_rule(cx, params),
    ),
    Operation::new("DescribeRules", "ListenerArn RuleArns[] Marker PageSize", |it, _, params| {
        it.describe_rules(params)
    }),
    Operation::new(
        "ModifyRule",
        "RuleArn Conditions[]{Field Values[] RegexValues[] HostHeaderConfig{Values[] RegexValues[]} \
         PathPatternConfig{Values[] RegexValues[]} HttpHeaderConfig{HttpHeaderName Values[] RegexValues[]} \
         QueryStringConfig{Values[]{Key Value}} HttpRequestMethodConfig{Values[]} SourceIpConfig{Values[]}} \
         Actions[]{Type TargetGroupArn Order RedirectConfig{Protocol Port Host Path Query StatusCode} \
         FixedResponseConfig{MessageBody StatusCode ContentType} ForwardConfig{TargetGroups[]{TargetGroupArn \
         Weight} TargetGroupStickinessConfig{Enabled DurationSeconds}}} \
         Transforms[]{Type HostHeaderRewriteConfig{Rewrites[]{Regex Replace}} \
         UrlRewriteConfig{Rewrites[]{Regex Replace}}} ResetTransforms",
        |it, _, params| it.modify_rule(params),
    ),
    Operation::new("DeleteRule", "RuleArn", |it, _, params| it.delete_rule(params)),
    Operation::new("SetRulePriorities", "RulePriorities[]{RuleArn Priority}", |it, _, params| {
        it.set_rule_priorities(params)
    }),
    Operation::new("DescribeAccountLimits", "Marker PageSize", |_, _, params| limits::describe_account_limits(params)),
    Operation::new("AddTags", "ResourceArns[] Tags[]{Key Value}", |it, _, params| it.add_tags(params)),
    Operation::new("RemoveTags", "ResourceArns[] TagKeys[]", |it, _, params| it.remove_tags(params)),
    Operation::new("DescribeTags", "ResourceArns[]", |it, _, params| it.describe_tags(params)),
];

impl Elbv2 {
    pub(super) fn dispatch(&mut self, cx: &mut Context, request: &Request) -> Answer {
        operation::run(&[OPERATIONS], self, cx, request)
    }
}
