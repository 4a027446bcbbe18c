//! Whether a name can be that of an instance type: what AWS publishes, what may have come since, and what is a slip of the pen.
//!
//! AWS adds types to those of the table all the time, so a name that is not in it is wrong only where no type can
//! have it: a size that no family has, a family between or below the generations that AWS has published.

use super::instance_types::{InstanceType, TYPES, find};

/// Families as the pages of instance types list them (<https://aws.amazon.com/ec2/instance-types/> and its page of previous
/// generations, 2025-11).
const FAMILIES: &str = "\
    a1 c1 c3 c4 c5 c5a c5ad c5d c5n c6a c6g c6gd c6gn c6i c6id c6in c7a c7g c7gd c7gn c7i c7i-flex c8a c8g c8gb c8gd c8gn c8i \
    c8i-flex d2 d3 d3en dl1 dl2q f1 f2 g3 g3s g4ad g4dn g5 g5g g6 g6e g6f gr6 gr6f h1 hpc6a hpc6id hpc7a hpc7g hpc8a hs1 i2 i3 \
    i3en i4g i4i i7i i7ie i8g i8ge im4gn inf1 inf2 is4gen m1 m2 m3 m4 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6g m6gd m6i m6id \
    m6idn m6in m7a m7g m7gd m7i m7i-flex m8a m8azn m8g m8gb m8gd m8gn m8i m8id m8i-flex mac1 mac2 mac2-m1ultra mac2-m2 \
    mac2-m2pro p2 p3 p3dn p4d p4de p5 p5e p5en p6-b200 p6-b300 p6e-gb200 r3 r4 r5 r5a r5ad r5b r5d r5dn r5n r6a r6g r6gd r6i \
    r6id r6idn r6in r7a r7g r7gd r7i r7iz r8a r8g r8gb r8gd r8gn r8i r8i-flex t1 t2 t3 t3a t4g trn1 trn1n trn2 trn2u \
    u-12tb1 u-18tb1 u-24tb1 u-3tb1 u-6tb1 u-9tb1 u7i-12tb u7i-6tb u7i-8tb u7in-16tb u7in-24tb u7in-32tb u7inh-32tb vt1 x1 x1e \
    x2gd x2idn x2iedn x2iezn x8g x8aedz z1d";
/// Of these the table has every size: AWS adds none to an old family.
const COMPLETE: &[&str] = &["t2", "t3", "t3a", "t4g", "m4"];
/// How far ahead of the newest published generation a new one may be.
const GENERATIONS_AHEAD: u32 = 2;

/// What can be said of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// In the table.
    Known,
    /// Not in the table, which may be older than the type: it may exist.
    Possible,
    /// No type has this name.
    Wrong,
}

/// What can be said of a type's name.
pub fn judge(name: &str) -> Name {
    if find(name).is_some() {
        return Name::Known;
    }
    let Some((family, size)) = name.split_once('.') else { return Name::Wrong };
    if !is_size(size) || COMPLETE.contains(&family) {
        return Name::Wrong;
    }
    if families().any(|known| known == family) {
        return Name::Possible;
    }
    let Some((series, generation)) = series(family) else { return Name::Wrong };
    let newest = families().filter_map(self::series).filter(|(known, _)| *known == series).map(|(_, g)| g).max();
    let is_possible = match newest {
        Some(newest) => (newest..=newest + GENERATIONS_AHEAD).contains(&generation),
        // A series of its own, unless it is one letter beside a family that there is.
        None => !families().any(|known| strsim::osa_distance(known, family) <= 1),
    };
    if is_possible { Name::Possible } else { Name::Wrong }
}

/// The type that was probably meant.
pub fn closest(name: &str) -> Option<&'static str> {
    crate::document::suggest::closest(name, TYPES.iter().map(|row| row.name))
}

fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.split_ascii_whitespace().chain(TYPES.iter().map(InstanceType::family))
}

/// `("m", 7)` of `m7i-flex`.
fn series(family: &str) -> Option<(&str, u32)> {
    let digits = family.find(|character: char| character.is_ascii_digit()).filter(|at| *at > 0)?;
    let rest = &family[digits..];
    let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    Some((&family[..digits], rest[..end].parse().ok()?))
}

/// `micro`, `2xlarge`, `metal`, `metal-48xl`
fn is_size(size: &str) -> bool {
    let times = |text: &str| text.len() <= 3 && text.parse::<u32>().is_ok_and(|times| times >= 2);
    matches!(size, "nano" | "micro" | "small" | "medium" | "large" | "xlarge" | "metal")
        || size.strip_suffix("xlarge").is_some_and(times)
        || size.strip_prefix("metal-").and_then(|size| size.strip_suffix("xl")).is_some_and(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_table_is_known() {
        for row in TYPES.iter() {
            assert_eq!(judge(row.name), Name::Known, "{}", row.name);
        }
    }

    #[test]
    fn what_aws_has_or_may_come_to_have_is_possible() {
        for name in ["m5.24xlarge", "m5.metal", "r7iz.metal-16xl", "g5.xlarge", "u7i-12tb.224xlarge"] {
            assert_ne!(judge(name), Name::Wrong, "{name}");
        }
        for name in ["m9g.large", "t5.micro", "m8x.large"] {
            assert_eq!(judge(name), Name::Possible, "{name}");
        }
        assert_eq!(judge("quantum1.large"), Name::Possible, "a series of its own");
    }

    #[test]
    fn a_size_is_a_word_or_two_and_more_times_the_extra_large_one() {
        for size in [
            "nano",
            "micro",
            "small",
            "medium",
            "large",
            "xlarge",
            "2xlarge",
            "224xlarge",
            "metal",
            "metal-2xl",
            "metal-48xl",
        ] {
            assert!(is_size(size), "{size}");
        }
        for size in
            ["", "larg", "0xlarge", "1xlarge", "1000xlarge", "xxlarge", "metal-", "metal-1xl", "metal-xl", "2large"]
        {
            assert!(!is_size(size), "{size}");
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_wrong_and_what_was_meant_is_near() {
        let slips = [
            ("t3.mircro", "t3.micro"),
            ("t2.larg", "t2.large"),
            ("t2.4xlarge", "t2.xlarge"),
            ("m44.large", "m4.large"),
            ("tt3.micro", "t3.micro"),
            ("m5x.large", "m5.large"),
            ("t3", "t3.nano"),
        ];
        for (name, meant) in slips {
            assert_eq!(judge(name), Name::Wrong, "{name}");
            let near = closest(name).unwrap_or_default();
            assert_eq!(near.split('.').next(), meant.split('.').next(), "{name}: {near}");
        }
    }
}
