//! HTTPS listeners and their certificates.

use super::*;

#[test]
fn an_https_listener_has_a_certificate_and_is_served_over_tls() {
    let mut cloud = Cloud::new();
    let arn = cloud.load_balancer("lab");
    let certificate = "arn:aws:acm:us-east-1:1:certificate/1";
    let params = |certificates: Value| {
        [
            ("LoadBalancerArn", Value::from(arn.as_str())),
            ("Protocol", Value::from("HTTPS")),
            ("Port", Value::from("443")),
            ("Certificates", certificates),
            ("DefaultActions", Value::list([not_found()])),
        ]
    };
    assert_eq!(cloud.elb("CreateListener", &params(Value::list([]))).unwrap_err(), "CertificateNotFound");
    let given = Value::list([fields(&[("CertificateArn", Value::from(certificate))])]);
    let created = cloud.elb("CreateListener", &params(given)).unwrap();
    let listener = &created.maps("Listeners")[0];
    assert_eq!(
        (listener.text("Protocol"), listener.text("SslPolicy")),
        (Some("HTTPS"), Some("ELBSecurityPolicy-2016-08"))
    );
    assert_eq!(listener.maps("Certificates")[0].text("CertificateArn"), Some(certificate));
    let secure = |cloud: &Cloud| {
        cloud.bench.world.services.elbv2.routing().listeners.iter().map(|it| it.settings.secure).collect::<Vec<_>>()
    };
    assert_eq!(secure(&cloud), [true]);
    let arn = listener.text("ListenerArn").unwrap().to_owned();
    let plain = [("ListenerArn", Value::from(arn)), ("Protocol", Value::from("HTTP")), ("Port", Value::from("80"))];
    cloud.elb("ModifyListener", &plain).unwrap();
    assert_eq!(secure(&cloud), [false]);
}

#[test]
fn further_certificates_are_kept_beside_the_default_one() {
    let mut cloud = Cloud::new();
    let load_balancer = cloud.load_balancer("lab");
    let arn = |number: u8| format!("arn:aws:acm:us-east-1:1:certificate/{number}");
    let certificate = |number: u8| fields(&[("CertificateArn", Value::from(arn(number)))]);
    let params = [
        ("LoadBalancerArn", Value::from(load_balancer)),
        ("Protocol", Value::from("HTTPS")),
        ("Port", Value::from("443")),
        ("Certificates", Value::list([certificate(1)])),
        ("DefaultActions", Value::list([not_found()])),
    ];
    let created = cloud.elb("CreateListener", &params).unwrap();
    let listener = created.maps("Listeners")[0].text("ListenerArn").unwrap().to_owned();
    let call = |cloud: &mut Cloud, operation: &str, numbers: &[u8]| {
        let certificates = Value::list(numbers.iter().map(|number| certificate(*number)));
        cloud.elb(operation, &[("ListenerArn", Value::from(listener.as_str())), ("Certificates", certificates)])
    };
    let all = |cloud: &mut Cloud| -> Vec<(String, Option<bool>)> {
        let shown = cloud.elb("DescribeListenerCertificates", &[("ListenerArn", Value::from(listener.as_str()))]);
        let shown = shown.unwrap().maps("Certificates");
        shown.iter().map(|it| (it.text("CertificateArn").unwrap().to_owned(), it.bool("IsDefault").unwrap())).collect()
    };
    call(&mut cloud, "AddListenerCertificates", &[2, 3, 2]).unwrap();
    assert_eq!(all(&mut cloud), [(arn(1), Some(true)), (arn(2), Some(false)), (arn(3), Some(false))]);
    // API reference, RemoveListenerCertificates: the default certificate is replaced by ModifyListener only.
    assert_eq!(call(&mut cloud, "RemoveListenerCertificates", &[1]).unwrap_err(), "OperationNotPermitted");
    call(&mut cloud, "RemoveListenerCertificates", &[2]).unwrap();
    assert_eq!(all(&mut cloud), [(arn(1), Some(true)), (arn(3), Some(false))]);
    let many: Vec<u8> = (10..35).collect();
    assert_eq!(call(&mut cloud, "AddListenerCertificates", &many).unwrap_err(), "TooManyCertificates");
}
