//! The machine images that the region knows: the names under which AWS publishes them and ids of our own.
//!
//! An instance of the region is a process tree of this machine, whatever its image: the image is only a name here.
//! SSM answers the parameters, EC2 describes the images.

/// A public image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    pub id: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    /// `amazon` or Canonical's account.
    pub owner: &'static str,
    pub root_device: &'static str,
    /// `x86_64` or `arm64`.
    pub architecture: &'static str,
    /// The public SSM parameters whose value is its id.
    pub parameters: &'static [&'static str],
}

const AMAZON: &str = "137112412989";
const CANONICAL: &str = "099720109477";

/// Every public image.
pub const IMAGES: [Image; 7] = [
    Image {
        id: "ami-0a1b2c3d4e5f60001",
        name: "al2023-ami-2023.9.20261110.0-kernel-6.1-x86_64",
        description: "Amazon Linux 2023 AMI 2023.9 x86_64 HVM kernel-6.1",
        owner: AMAZON,
        root_device: "/dev/xvda",
        architecture: "x86_64",
        parameters: &[
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-x86_64",
            "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-x86_64",
        ],
    },
    Image {
        id: "ami-0a1b2c3d4e5f60002",
        name: "al2023-ami-2023.9.20261110.0-kernel-6.1-arm64",
        description: "Amazon Linux 2023 AMI 2023.9 arm64 HVM kernel-6.1",
        owner: AMAZON,
        root_device: "/dev/xvda",
        architecture: "arm64",
        parameters: &[
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
            "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64",
            "/aws/service/ami-amazon-linux-latest/al2023-ami-minimal-kernel-default-arm64",
        ],
    },
    Image {
        id: "ami-0a1b2c3d4e5f60003",
        name: "amzn2-ami-hvm-2.0.20261105.0-x86_64-gp2",
        description: "Amazon Linux 2 AMI 2.0 x86_64 HVM gp2",
        owner: AMAZON,
        root_device: "/dev/xvda",
        architecture: "x86_64",
        parameters: &[
            "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2",
            "/aws/service/ami-amazon-linux-latest/amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
        ],
    },
    Image {
        id: "ami-0a1b2c3d4e5f60004",
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261115",
        description: "Canonical, Ubuntu, 22.04 LTS, amd64 jammy image",
        owner: CANONICAL,
        root_device: "/dev/sda1",
        architecture: "x86_64",
        parameters: &[
            "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id",
            "/aws/service/canonical/ubuntu/server/jammy/stable/current/amd64/hvm/ebs-gp2/ami-id",
        ],
    },
    Image {
        id: "ami-0a1b2c3d4e5f60005",
        name: "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20261115",
        description: "Canonical, Ubuntu, 22.04 LTS, arm64 jammy image",
        owner: CANONICAL,
        root_device: "/dev/sda1",
        architecture: "arm64",
        parameters: &["/aws/service/canonical/ubuntu/server/22.04/stable/current/arm64/hvm/ebs-gp2/ami-id"],
    },
    Image {
        id: "ami-0a1b2c3d4e5f60006",
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261115",
        description: "Canonical, Ubuntu, 24.04 LTS, amd64 noble image",
        owner: CANONICAL,
        root_device: "/dev/sda1",
        architecture: "x86_64",
        parameters: &[
            "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
            "/aws/service/canonical/ubuntu/server/noble/stable/current/amd64/hvm/ebs-gp3/ami-id",
        ],
    },
    Image {
        id: "ami-0a1b2c3d4e5f60007",
        name: "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261115",
        description: "Canonical, Ubuntu, 24.04 LTS, arm64 noble image",
        owner: CANONICAL,
        root_device: "/dev/sda1",
        architecture: "arm64",
        parameters: &["/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"],
    },
];

/// The image whose id a public SSM parameter holds.
pub fn by_parameter(name: &str) -> Option<&'static Image> {
    IMAGES.iter().find(|image| image.parameters.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_images_share_an_id_or_a_parameter() {
        let mut names: Vec<&str> = IMAGES.iter().flat_map(|i| i.parameters.iter().copied().chain([i.id])).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
