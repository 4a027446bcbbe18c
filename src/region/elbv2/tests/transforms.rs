//! Rules with transforms, as they are created, shown, changed and taken away.

use super::*;

fn url(regex: &str) -> Value {
    let rewrite = fields(&[("Regex", Value::from(regex)), ("Replace", Value::from("/$1"))]);
    let config = fields(&[("Rewrites", Value::list([rewrite]))]);
    Value::list([fields(&[("Type", Value::from("url-rewrite")), ("UrlRewriteConfig", config)])])
}

#[test]
fn a_rule_keeps_its_transforms_until_they_are_changed_or_reset() {
    let mut cloud = Cloud::new();
    let load_balancer = cloud.load_balancer("lab");
    let listener = cloud.listener(&load_balancer, "80", not_found()).unwrap();
    let condition = fields(&[("Field", Value::from("path-pattern")), ("RegexValues", texts(&["^/shop/"]))]);
    let params = [
        ("ListenerArn", Value::from(listener)),
        ("Priority", Value::from("1")),
        ("Conditions", Value::list([condition])),
        ("Actions", Value::list([not_found()])),
        ("Transforms", url("^/shop/(.*)$")),
    ];
    let rule = cloud.one("CreateRule", "Rules", "RuleArn", &params);
    let regex = |cloud: &mut Cloud| {
        let shown = cloud.elb("DescribeRules", &[("RuleArns", texts(&[&rule]))]).unwrap().maps("Rules").remove(0);
        assert_eq!(shown.maps("Conditions")[0].texts("RegexValues"), ["^/shop/"]);
        let transforms = shown.maps("Transforms");
        let rewrites = transforms.first().map(|it| it.map("UrlRewriteConfig").unwrap().maps("Rewrites"));
        rewrites.map(|rewrites| rewrites[0].text("Regex").unwrap().to_owned())
    };
    assert_eq!(regex(&mut cloud).as_deref(), Some("^/shop/(.*)$"));
    let modify = |cloud: &mut Cloud, more: &[(&str, Value)]| {
        let params = [&[("RuleArn", Value::from(rule.as_str()))], more].concat();
        cloud.elb("ModifyRule", &params).map(drop)
    };
    modify(&mut cloud, &[("Actions", Value::list([not_found()]))]).unwrap();
    assert_eq!(regex(&mut cloud).as_deref(), Some("^/shop/(.*)$"), "not named, not changed");
    modify(&mut cloud, &[("Transforms", url("^/s/(.*)$"))]).unwrap();
    assert_eq!(regex(&mut cloud).as_deref(), Some("^/s/(.*)$"));
    let both = [("Transforms", url("^/s/(.*)$")), ("ResetTransforms", Value::from("true"))];
    assert_eq!(modify(&mut cloud, &both).unwrap_err(), "ValidationError");
    modify(&mut cloud, &[("ResetTransforms", Value::from("true"))]).unwrap();
    assert_eq!(regex(&mut cloud), None);
}

/// "You can't redirect HTTPS to HTTP" (user guide, "Redirect actions"): neither by default nor by a rule, and no listener
/// becomes one that does.
#[test]
fn an_https_listener_does_not_redirect_into_the_clear() {
    let mut cloud = Cloud::new();
    let load_balancer = cloud.load_balancer("lab");
    let redirect = |protocol: &str| {
        let config = fields(&[
            ("Protocol", Value::from(protocol)),
            ("Port", Value::from("8443")),
            ("StatusCode", Value::from("HTTP_301")),
        ]);
        fields(&[("Type", Value::from("redirect")), ("RedirectConfig", config)])
    };
    let certificate = fields(&[("CertificateArn", Value::from("arn:aws:acm:us-east-1:1:certificate/1"))]);
    let create = |cloud: &mut Cloud, action: Value| {
        let params = [
            ("LoadBalancerArn", Value::from(load_balancer.as_str())),
            ("Protocol", Value::from("HTTPS")),
            ("Port", Value::from("443")),
            ("Certificates", Value::list([certificate.clone()])),
            ("DefaultActions", Value::list([action])),
        ];
        cloud
            .elb("CreateListener", &params)
            .map(|answer| answer.maps("Listeners")[0].text("ListenerArn").unwrap().to_owned())
    };
    assert_eq!(create(&mut cloud, redirect("HTTP")).unwrap_err(), "InvalidLoadBalancerAction");
    let listener = create(&mut cloud, redirect("HTTPS")).unwrap();
    assert_eq!(cloud.rule(&listener, "1", "/a", redirect("HTTP")).unwrap_err(), "InvalidLoadBalancerAction");
    cloud.rule(&listener, "1", "/a", redirect("#{protocol}")).unwrap();
    let plain = cloud.listener(&load_balancer, "80", redirect("HTTP")).unwrap();
    let secure = [
        ("ListenerArn", Value::from(plain)),
        ("Protocol", Value::from("HTTPS")),
        ("Port", Value::from("9443")),
        ("Certificates", Value::list([certificate])),
    ];
    assert_eq!(cloud.elb("ModifyListener", &secure).unwrap_err(), "InvalidLoadBalancerAction");
}
