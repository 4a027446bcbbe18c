//! Instance types: how many virtual CPUs and how much memory each has, what it is made of, as AWS's DescribeInstanceTypes
//! says. `instance-types.txt` is the list (`scripts/instance-types` makes it): a family a line with its architecture,
//! hypervisor and generation, then `size=vcpus:MiB:threads of a core`.

use std::sync::LazyLock;

/// One type.
#[derive(Clone, Copy, Debug)]
pub struct InstanceType {
    pub name: &'static str,
    pub vcpus: u16,
    pub memory_mib: u32,
    pub threads_per_core: u16,
    architecture: &'static str,
    hypervisor: &'static str,
    is_current: bool,
}

const LIST: &str = include_str!("instance-types.txt");

/// The types that the region offers, in every zone, by name.
pub static TYPES: LazyLock<Vec<InstanceType>> = LazyLock::new(|| {
    let mut types: Vec<InstanceType> = LIST.lines().flat_map(family).collect();
    types.sort_by_key(|row| row.name);
    types
});

/// The types of one line.
///
/// # Panics
/// On a line that is not as the module says: a mistake in the list, which every test that looks at a type finds.
fn family(line: &'static str) -> Vec<InstanceType> {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("the line is short: {line}"));
    let (family, architecture, hypervisor, generation) = (word(), word(), word(), word());
    let one = |text: &'static str| {
        let (size, numbers) = text.split_once('=').unwrap_or_else(|| panic!("no size: {text}"));
        let numbers: Vec<u32> = numbers.split(':').map(|number| number.parse().expect("a number")).collect();
        let small = |number: u32| u16::try_from(number).expect("few");
        InstanceType {
            // For the whole life of the program: there is one list.
            name: Box::leak(format!("{family}.{size}").into_boxed_str()),
            vcpus: small(numbers[0]),
            memory_mib: numbers[1],
            threads_per_core: small(numbers[2]),
            architecture,
            hypervisor,
            is_current: generation == "current",
        }
    };
    words.map(one).collect()
}

/// The type of that name.
pub fn find(name: &str) -> Option<&'static InstanceType> {
    let types = &*TYPES;
    types.binary_search_by_key(&name, |row| row.name).ok().map(|index| &types[index])
}

impl InstanceType {
    /// `t2` of `t2.large`.
    pub fn family(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// `x86_64` or `arm64`.
    pub fn architecture(&self) -> &'static str {
        self.architecture
    }

    /// `xen` or `nitro`; `None` of bare metal.
    pub fn hypervisor(&self) -> Option<&'static str> {
        Some(self.hypervisor).filter(|name| *name != "none")
    }

    pub fn burstable(&self) -> bool {
        matches!(self.family(), "t2" | "t3" | "t3a" | "t4g")
    }

    /// The credit specification that AWS gives where none is asked for.
    pub fn default_credits(&self) -> &'static str {
        if self.family() == "t2" { "standard" } else { "unlimited" }
    }

    pub fn current_generation(&self) -> bool {
        self.is_current
    }
}

/// The families that the quota of vCPUs is about: the letters before the generation.
const STANDARD_FAMILIES: [&str; 11] = ["a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"];

/// The virtual CPUs of a type of the standard families; of one that is not in the list by AWS's pattern of sizes. `None` for
/// other families.
pub fn standard_vcpus(instance_type: &str) -> Option<usize> {
    let (family, size) = instance_type.split_once('.')?;
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    if !STANDARD_FAMILIES.contains(&letters.as_str()) {
        return None;
    }
    if let Some(row) = find(instance_type) {
        return Some(row.vcpus.into());
    }
    Some(match size {
        "medium" if letters != "t" => 1,
        "nano" | "micro" | "small" | "medium" | "large" => 2,
        "xlarge" => 4,
        size => 4 * size.strip_suffix("xlarge")?.parse::<usize>().ok()?,
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
    fn the_list_has_all_families_once_and_in_order() {
        assert!(TYPES.len() > 1000, "{}", TYPES.len());
        assert!(TYPES.windows(2).all(|pair| pair[0].name < pair[1].name), "no type is there twice");
        let row = find("m5.metal").unwrap();
        assert_eq!((row.vcpus, row.hypervisor(), row.architecture()), (96, None, "x86_64"));
        let row = find("t3.micro").unwrap();
        assert_eq!((row.threads_per_core, row.hypervisor(), row.burstable()), (2, Some("nitro"), true));
    }

    #[test]
    fn types_that_are_not_in_the_list_follow_the_pattern_of_sizes() {
        assert_eq!(
            (standard_vcpus("m99.large"), standard_vcpus("m99.8xlarge"), standard_vcpus("m5.metal")),
            (Some(2), Some(32), Some(96))
        );
        assert_eq!(
            (standard_vcpus("g5.xlarge"), standard_vcpus("m99.metal"), standard_vcpus("large")),
            (None, None, None)
        );
    }
}
