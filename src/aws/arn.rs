//! What ARNs of Elastic Load Balancing hold.

/// CloudWatch's dimension value: `…:loadbalancer/app/web/50dc6c495c0c9188` is `app/web/50dc6c495c0c9188`,
/// `…:targetgroup/web/73e2d6bc24d8a067` is `targetgroup/web/73e2d6bc24d8a067`.
pub fn full_name(arn: &str) -> String {
    let resource = arn.rsplit(':').next().unwrap_or(arn);
    resource.strip_prefix("loadbalancer/").unwrap_or(resource).to_owned()
}

/// The name: `web` of both of the above.
pub fn name(arn: &str) -> Option<&str> {
    arn.rsplit('/').nth(1)
}

/// The ARN of an alarm beside a resource of Auto Scaling: of the same partition, region and account.
pub fn alarm_arn(beside: &str, name: &str) -> Option<String> {
    let ["arn", partition, _, region, account, ..] = beside.split(':').collect::<Vec<_>>()[..] else { return None };
    Some(format!("arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_in_the_account_and_region_of_its_policy() {
        let policy = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:autoScalingGroupName/g:policyName/p";
        assert_eq!(alarm_arn(policy, "a"), Some("arn:aws:cloudwatch:us-east-1:123456789012:alarm:a".to_owned()));
        assert_eq!(alarm_arn("", "a"), None);
    }

    #[test]
    fn dimension_values_are_the_tails_of_the_arns() {
        let prefix = "arn:aws:elasticloadbalancing:us-east-1:123456789012";
        let balancer = format!("{prefix}:loadbalancer/app/web/50dc6c495c0c9188");
        let group = format!("{prefix}:targetgroup/web/73e2d6bc24d8a067");
        assert_eq!((full_name(&balancer).as_str(), name(&balancer)), ("app/web/50dc6c495c0c9188", Some("web")));
        assert_eq!((full_name(&group).as_str(), name(&group)), ("targetgroup/web/73e2d6bc24d8a067", Some("web")));
    }
}
