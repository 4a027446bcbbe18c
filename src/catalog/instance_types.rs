//! Instance types: how many virtual CPUs and how much memory each has, as AWS's instance type pages list them.

/// One type.
#[derive(Clone, Copy, Debug)]
pub struct InstanceType {
    pub name: &'static str,
    pub vcpus: u16,
    pub memory_mib: u32,
}

const fn row(name: &'static str, vcpus: u16, memory_mib: u32) -> InstanceType {
    InstanceType { name, vcpus, memory_mib }
}

/// The types that the region offers, in every zone.
pub const TYPES: [InstanceType; 78] = [
    row("t2.nano", 1, 512),
    row("t2.micro", 1, 1024),
    row("t2.small", 1, 2048),
    row("t2.medium", 2, 4096),
    row("t2.large", 2, 8192),
    row("t2.xlarge", 4, 16384),
    row("t2.2xlarge", 8, 32768),
    row("t3.nano", 2, 512),
    row("t3.micro", 2, 1024),
    row("t3.small", 2, 2048),
    row("t3.medium", 2, 4096),
    row("t3.large", 2, 8192),
    row("t3.xlarge", 4, 16384),
    row("t3.2xlarge", 8, 32768),
    row("t3a.nano", 2, 512),
    row("t3a.micro", 2, 1024),
    row("t3a.small", 2, 2048),
    row("t3a.medium", 2, 4096),
    row("t3a.large", 2, 8192),
    row("t3a.xlarge", 4, 16384),
    row("t3a.2xlarge", 8, 32768),
    row("t4g.nano", 2, 512),
    row("t4g.micro", 2, 1024),
    row("t4g.small", 2, 2048),
    row("t4g.medium", 2, 4096),
    row("t4g.large", 2, 8192),
    row("t4g.xlarge", 4, 16384),
    row("t4g.2xlarge", 8, 32768),
    row("m4.large", 2, 8192),
    row("m4.xlarge", 4, 16384),
    row("m4.2xlarge", 8, 32768),
    row("m4.4xlarge", 16, 65536),
    row("m4.10xlarge", 40, 163_840),
    row("m4.16xlarge", 64, 262_144),
    row("m5.large", 2, 8192),
    row("m5.xlarge", 4, 16384),
    row("m5.2xlarge", 8, 32768),
    row("m5.4xlarge", 16, 65536),
    row("m5.8xlarge", 32, 131_072),
    row("m5.12xlarge", 48, 196_608),
    row("m6i.large", 2, 8192),
    row("m6i.xlarge", 4, 16384),
    row("m6i.2xlarge", 8, 32768),
    row("m6i.4xlarge", 16, 65536),
    row("m6i.8xlarge", 32, 131_072),
    row("m6g.medium", 1, 4096),
    row("m6g.large", 2, 8192),
    row("m6g.xlarge", 4, 16384),
    row("m6g.2xlarge", 8, 32768),
    row("m7i.large", 2, 8192),
    row("m7i.xlarge", 4, 16384),
    row("m7i.2xlarge", 8, 32768),
    row("m7g.medium", 1, 4096),
    row("m7g.large", 2, 8192),
    row("m7g.xlarge", 4, 16384),
    row("c4.large", 2, 3840),
    row("c4.xlarge", 4, 7680),
    row("c5.large", 2, 4096),
    row("c5.xlarge", 4, 8192),
    row("c5.2xlarge", 8, 16384),
    row("c5.4xlarge", 16, 32768),
    row("c5.9xlarge", 36, 73728),
    row("c6i.large", 2, 4096),
    row("c6i.xlarge", 4, 8192),
    row("c6i.2xlarge", 8, 16384),
    row("c6i.4xlarge", 16, 32768),
    row("c6g.medium", 1, 2048),
    row("c6g.large", 2, 4096),
    row("c6g.xlarge", 4, 8192),
    row("c7g.large", 2, 4096),
    row("c7g.xlarge", 4, 8192),
    row("c7i.large", 2, 4096),
    row("c7i.xlarge", 4, 8192),
    row("r5.large", 2, 16384),
    row("r5.xlarge", 4, 32768),
    row("r6i.large", 2, 16384),
    row("r6i.xlarge", 4, 32768),
    row("r6g.large", 2, 16384),
];

/// The type of that name.
pub fn find(name: &str) -> Option<&'static InstanceType> {
    TYPES.iter().find(|row| row.name == name)
}

impl InstanceType {
    /// `t2` of `t2.large`.
    pub fn family(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// Graviton families carry a `g` after their generation.
    pub fn architecture(&self) -> &'static str {
        if self.family().ends_with('g') { "arm64" } else { "x86_64" }
    }

    pub fn burstable(&self) -> bool {
        self.name.starts_with('t')
    }

    /// The credit specification that AWS gives where none is asked for.
    pub fn default_credits(&self) -> &'static str {
        if self.family() == "t2" { "standard" } else { "unlimited" }
    }

    pub fn current_generation(&self) -> bool {
        !matches!(self.family(), "t2" | "m4" | "c4")
    }
}

/// The families that the quota of vCPUs is about: the letters before the generation.
const STANDARD_FAMILIES: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];

/// The virtual CPUs of a type of the standard families, by AWS's pattern of sizes; `None` for other families and `metal`.
pub fn standard_vcpus(instance_type: &str) -> Option<usize> {
    let (family, size) = instance_type.split_once('.')?;
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    if !STANDARD_FAMILIES.contains(&letters.as_str()) {
        return None;
    }
    Some(match (family, size) {
        // Types from before the pattern.
        ("c4" | "d2", "8xlarge") => 36,
        ("t2", "nano" | "micro" | "small") => 1,
        (_, "medium") if letters != "t" => 1,
        (_, "nano" | "micro" | "small" | "medium" | "large") => 2,
        (_, "xlarge") => 4,
        (_, size) => 4 * size.strip_suffix("xlarge")?.parse::<usize>().ok()?,
    })
}

/// Whether an instance type has an ARM processor: a `g` behind the generation (`t4g`, `m6gd`), or `a1`.
pub fn is_arm(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let attributes = family.trim_start_matches(|character: char| character.is_ascii_alphabetic());
    family == "a1" || attributes.trim_start_matches(|character: char| character.is_ascii_digit()).starts_with('g')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laboratorys_types_are_as_aws_lists_them() {
        let size = |name| find(name).map(|row| (row.vcpus, row.memory_mib));
        assert_eq!((size("t2.large"), size("m4.large"), size("x9.huge")), (Some((2, 8192)), Some((2, 8192)), None));
        assert_eq!(find("m6g.large").map(InstanceType::architecture), Some("arm64"));
    }

    #[test]
    fn the_pattern_of_sizes_gives_the_vcpus_of_every_standard_type_of_the_table() {
        let mut known = 0;
        for row in TYPES {
            if let Some(vcpus) = standard_vcpus(row.name) {
                assert_eq!(vcpus, usize::from(row.vcpus), "{}", row.name);
                known += 1;
            }
        }
        assert!(known * 10 > TYPES.len() * 9, "{known} of {}", TYPES.len());
        assert_eq!(
            (standard_vcpus("c4.8xlarge"), standard_vcpus("g5.xlarge"), standard_vcpus("m5.metal")),
            (Some(36), None, None)
        );
    }
}
