//! CPU credits of burstable types (EC2 user guide, "Key concepts and definitions for burstable performance instances").

/// Credits that an instance earns in an hour: a credit is a virtual CPU for a minute. It earns for at most a day ahead, and
/// what it earns in a minute is its baseline.
const PER_HOUR: [(&str, f64); 28] = [
    ("t2.nano", 3.0),
    ("t2.micro", 6.0),
    ("t2.small", 12.0),
    ("t2.medium", 24.0),
    ("t2.large", 36.0),
    ("t2.xlarge", 54.0),
    ("t2.2xlarge", 81.6),
    ("t3.nano", 6.0),
    ("t3.micro", 12.0),
    ("t3.small", 24.0),
    ("t3.medium", 24.0),
    ("t3.large", 36.0),
    ("t3.xlarge", 96.0),
    ("t3.2xlarge", 192.0),
    ("t3a.nano", 6.0),
    ("t3a.micro", 12.0),
    ("t3a.small", 24.0),
    ("t3a.medium", 24.0),
    ("t3a.large", 36.0),
    ("t3a.xlarge", 96.0),
    ("t3a.2xlarge", 192.0),
    ("t4g.nano", 6.0),
    ("t4g.micro", 12.0),
    ("t4g.small", 24.0),
    ("t4g.medium", 24.0),
    ("t4g.large", 36.0),
    ("t4g.xlarge", 96.0),
    ("t4g.2xlarge", 192.0),
];
/// What a T2 in standard mode begins with, for each virtual CPU ("Launch credits"). Others begin with none.
const LAUNCH_PER_VCPU: f64 = 30.0;

/// What a type earns in an hour; `None` for one that is not burstable.
pub fn per_hour(instance_type: &str) -> Option<f64> {
    PER_HOUR.iter().find(|(name, _)| *name == instance_type).map(|(_, credits)| *credits)
}

/// What an instance begins with.
pub fn at_launch(instance_type: &str, vcpus: u16, unlimited: bool) -> f64 {
    if instance_type.starts_with("t2.") && !unlimited { LAUNCH_PER_VCPU * f64::from(vcpus) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::instance_types;

    #[test]
    fn every_burstable_type_earns_its_published_baseline() {
        // "Baseline utilization per vCPU" of the same page, in percent.
        let baselines = [("nano", 5.0), ("micro", 10.0), ("small", 20.0), ("medium", 20.0), ("large", 30.0)];
        let larger = [("t2.xlarge", 22.5), ("t2.2xlarge", 17.0), ("t3.xlarge", 40.0), ("t4g.2xlarge", 40.0)];
        for (name, credits) in PER_HOUR {
            let row = instance_types::find(name).unwrap_or_else(|| panic!("{name} is in the catalog"));
            assert!(row.burstable(), "{name}");
            let baseline = credits / 60.0 / f64::from(row.vcpus) * 100.0;
            let size = name.split_once('.').unwrap().1;
            let published = baselines.iter().find(|(known, _)| *known == size).map(|(_, percent)| *percent);
            let published = published.or_else(|| larger.iter().find(|(known, _)| *known == name).map(|(_, p)| *p));
            assert!(published.is_none_or(|published| (baseline - published).abs() < 0.01), "{name}: {baseline}");
        }
        assert_eq!(per_hour("m4.large"), None);
    }

    #[test]
    fn only_a_t2_in_standard_mode_begins_with_credits() {
        assert_eq!(at_launch("t2.large", 2, false), 60.0);
        assert_eq!((at_launch("t2.large", 2, true), at_launch("t3.large", 2, false)), (0.0, 0.0));
    }
}
