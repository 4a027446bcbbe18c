//! Prices as AWS publishes them: a small dated table, good enough to notice a mistake before it costs money.

/// The region whose prices these are.
pub const REGION: &str = "us-east-1";
/// Where the figures come from: <https://aws.amazon.com/ec2/pricing/on-demand/>, Linux; the load balancer's of 2026-09. Load
/// balancer capacity units ($0.008 each an hour) depend on the traffic.
pub const SOURCE: &str = "on-demand prices of us-east-1, 2025-06; without traffic, volumes and LCUs";
/// As [`SOURCE`], of what a run cost: its capacity units are known.
pub const RUN_SOURCE: &str = "on-demand prices of us-east-1, 2025-06; without traffic and volumes";
/// An application load balancer, US dollars an hour.
pub const LOAD_BALANCER: f64 = 0.0225;

/// A load balancer capacity unit, US dollars an hour.
pub const CAPACITY_UNIT: f64 = 0.008;

/// Instance type → US dollars an hour.
const INSTANCES: &[(&str, f64)] = &[
    ("c4.large", 0.100),
    ("c4.xlarge", 0.199),
    ("c5.large", 0.085),
    ("c5.xlarge", 0.17),
    ("c5.2xlarge", 0.34),
    ("c6g.large", 0.068),
    ("c6i.large", 0.085),
    ("c6i.xlarge", 0.17),
    ("c7g.large", 0.0725),
    ("c7i.large", 0.08925),
    ("m3.medium", 0.067),
    ("m4.large", 0.10),
    ("m4.xlarge", 0.20),
    ("m4.2xlarge", 0.40),
    ("m5.large", 0.096),
    ("m5.xlarge", 0.192),
    ("m5.2xlarge", 0.384),
    ("m6g.large", 0.077),
    ("m6i.large", 0.096),
    ("m6i.xlarge", 0.192),
    ("m7g.large", 0.0816),
    ("m7i.large", 0.1008),
    ("r5.large", 0.126),
    ("r6i.large", 0.126),
    ("t2.nano", 0.0058),
    ("t2.micro", 0.0116),
    ("t2.small", 0.023),
    ("t2.medium", 0.0464),
    ("t2.large", 0.0928),
    ("t2.xlarge", 0.1856),
    ("t2.2xlarge", 0.3712),
    ("t3.nano", 0.0052),
    ("t3.micro", 0.0104),
    ("t3.small", 0.0208),
    ("t3.medium", 0.0416),
    ("t3.large", 0.0832),
    ("t3.xlarge", 0.1664),
    ("t3.2xlarge", 0.3328),
    ("t3a.micro", 0.0094),
    ("t3a.small", 0.0188),
    ("t3a.medium", 0.0376),
    ("t3a.large", 0.0752),
    ("t4g.nano", 0.0042),
    ("t4g.micro", 0.0084),
    ("t4g.small", 0.0168),
    ("t4g.medium", 0.0336),
    ("t4g.large", 0.0672),
    ("t4g.xlarge", 0.1344),
];

/// US dollars an hour for one instance; `None` where the table does not know the type.
pub fn instance(instance_type: &str) -> Option<f64> {
    INSTANCES.iter().find(|(name, _)| *name == instance_type).map(|(_, price)| *price)
}

/// Every type that has a price, with it.
pub fn all() -> impl Iterator<Item = (&'static str, f64)> {
    INSTANCES.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_have_a_price_and_others_none() {
        assert_eq!(instance("t2.large"), Some(0.0928));
        assert_eq!(instance("x9.mega"), None);
    }

    #[test]
    fn every_type_is_listed_once() {
        let mut names: Vec<_> = INSTANCES.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), INSTANCES.len());
    }
}
