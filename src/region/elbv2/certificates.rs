//! The certificates of HTTPS listeners: the default one, which the listener names, and those beside it for further names.
//!
//! They are kept and shown. What clients get is signed by the region for the name that they ask for, whatever a listener names.

use super::listeners::Listener;
use super::model::Elbv2;
use super::page;
use crate::region::wire::{Answer, ApiError, Params, Value};

/// AWS's quota for one load balancer, default certificates not counted (user guide, "Quotas").
pub const CERTIFICATES_MAX: usize = 25;

impl Elbv2 {
    pub(super) fn add_listener_certificates(&mut self, params: &Params) -> Answer {
        let arn = params.required("ListenerArn")?;
        let given = given(params)?;
        let listener = self.secure_listener(arn)?;
        let load_balancer = listener.load_balancer.clone();
        let fresh: Vec<&String> = given.iter().filter(|arn| !listener.certificates.contains(arn)).collect();
        let of_load_balancer = self.listeners.values().filter(|it| it.load_balancer == load_balancer);
        let known: usize = of_load_balancer.map(|it| it.certificates.len()).sum();
        if known + fresh.len() > CERTIFICATES_MAX {
            let message = format!("A load balancer can only have '{CERTIFICATES_MAX}' certificates");
            return Err(ApiError::new("TooManyCertificates", message));
        }
        let fresh: Vec<String> = fresh.into_iter().cloned().collect();
        self.listener_mut(arn)?.certificates.extend(fresh);
        let shown = given.iter().map(|arn| show(arn, false));
        Ok(Value::map().with("Certificates", Value::list(shown)))
    }

    pub(super) fn remove_listener_certificates(&mut self, params: &Params) -> Answer {
        let arn = params.required("ListenerArn")?;
        let given = given(params)?;
        let listener = self.secure_listener(arn)?;
        if listener.tls.as_ref().is_some_and(|tls| given.contains(&tls.certificate)) {
            return Err(ApiError::new("OperationNotPermitted", "Default certificate cannot be removed"));
        }
        self.listener_mut(arn)?.certificates.retain(|arn| !given.contains(arn));
        Ok(Value::map())
    }

    pub(super) fn describe_listener_certificates(&self, params: &Params) -> Answer {
        let listener = self.listener(params.required("ListenerArn")?)?;
        let default = listener.tls.iter().map(|tls| (tls.certificate.as_str(), true));
        let mut all: Vec<_> = default.chain(listener.certificates.iter().map(|arn| (arn.as_str(), false))).collect();
        all.sort_unstable();
        let shown = all.into_iter().map(|(arn, is_default)| (arn, show(arn, is_default)));
        page::answer(params, "Certificates", shown)
    }

    fn secure_listener(&self, arn: &str) -> Result<&Listener, ApiError> {
        let listener = self.listener(arn)?;
        if listener.tls.is_none() {
            let message = "Certificates are for HTTPS listeners only";
            return Err(ApiError::new("InvalidConfigurationRequest", message));
        }
        Ok(listener)
    }
}

/// The ARNs of a call, each once.
fn given(params: &Params) -> Result<Vec<String>, ApiError> {
    let mut arns = Vec::new();
    for certificate in params.maps("Certificates") {
        let arn = certificate.required("CertificateArn")?.to_owned();
        if !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    if arns.is_empty() { Err(ApiError::missing("Certificates")) } else { Ok(arns) }
}

fn show(arn: &str, is_default: bool) -> Value {
    Value::map().with("CertificateArn", Value::from(arn)).with("IsDefault", Value::from(is_default))
}
