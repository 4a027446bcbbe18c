//! Images by the names that people use, with the public SSM parameter that holds the current id in a region.

/// Names under which images are known, with the public SSM parameter; `ARCH` is the instance type's.
pub const ALIASES: [(&str, &str); 5] = [
    ("amazon-linux-2023", "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-ARCH"),
    ("amazon-linux-2", "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-ARCH-gp2"),
    ("ubuntu-24.04", "/aws/service/canonical/ubuntu/server/24.04/stable/current/ARCH/hvm/ebs-gp3/ami-id"),
    ("ubuntu-22.04", "/aws/service/canonical/ubuntu/server/22.04/stable/current/ARCH/hvm/ebs-gp2/ami-id"),
    ("debian-12", "/aws/service/debian/release/12/latest/ARCH"),
];
