//! Which operation is which function.

use super::model::Elbv2;
use crate::region::context::Context;
use crate::region::wire::{Answer, ApiError, Request};

impl Elbv2 {
    pub(super) fn dispatch(&mut self, cx: &mut Context, request: &Request) -> Answer {
        let params = &request.params;
        match request.operation.as_str() {
            "CreateLoadBalancer" => self.create_load_balancer(cx, params),
            "DescribeLoadBalancers" => self.describe_load_balancers(cx, params),
            "DeleteLoadBalancer" => self.delete_load_balancer(cx, params),
            "DescribeLoadBalancerAttributes" => self.describe_load_balancer_attributes(params),
            "ModifyLoadBalancerAttributes" => self.modify_load_balancer_attributes(params),
            "SetSecurityGroups" => self.set_security_groups(cx, params),
            "SetSubnets" => self.set_subnets(cx, params),
            "DescribeCapacityReservation" => self.describe_capacity_reservation(params),
            "SetIpAddressType" => self.set_ip_address_type(params),

            "CreateTargetGroup" => self.create_target_group(cx, params),
            "DescribeTargetGroups" => self.describe_target_groups(params),
            "ModifyTargetGroup" => self.modify_target_group(params),
            "DeleteTargetGroup" => self.delete_target_group(params),
            "DescribeTargetGroupAttributes" => self.describe_target_group_attributes(params),
            "ModifyTargetGroupAttributes" => self.modify_target_group_attributes(params),

            "RegisterTargets" => self.register_targets(cx, params),
            "DeregisterTargets" => self.deregister_targets(cx, params),
            "DescribeTargetHealth" => self.describe_target_health(params),

            "CreateListener" => self.create_listener(cx, params),
            "DescribeListeners" => self.describe_listeners(params),
            "ModifyListener" => self.modify_listener(params),
            "DeleteListener" => self.delete_listener(params),
            "DescribeListenerAttributes" => self.describe_listener_attributes(params),
            "ModifyListenerAttributes" => self.modify_listener_attributes(params),

            "CreateRule" => self.create_rule(cx, params),
            "DescribeRules" => self.describe_rules(params),
            "ModifyRule" => self.modify_rule(params),
            "DeleteRule" => self.delete_rule(params),
            "SetRulePriorities" => self.set_rule_priorities(params),

            "AddTags" => self.add_tags(params),
            "RemoveTags" => self.remove_tags(params),
            "DescribeTags" => self.describe_tags(params),

            other => Err(ApiError::unknown_operation(other)),
        }
    }
}
