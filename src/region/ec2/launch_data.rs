//! What RunInstances and a launch template's data have in common: their parameters, and the user data.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::region::wire::{ApiError, Params};

/// AWS's bound on user data, before base64: 16 KB.
pub const USER_DATA_BYTES_MAX: usize = 16 * 1024;

/// What RunInstances and a launch template's data have in common. What the embedded region has only one of is taken at
/// that value: it is AWS's default.
macro_rules! launch_parameters {
    () => {
        "ImageId InstanceType KeyName UserData SecurityGroupId[] SecurityGroup[] IamInstanceProfile{Arn Name} \
         Monitoring{Enabled} EbsOptimized DisableApiTermination DisableApiStop InstanceInitiatedShutdownBehavior=stop|terminate \
         Placement{AvailabilityZone Tenancy=default} CreditSpecification{CpuCredits=standard|unlimited} \
         MetadataOptions{HttpTokens HttpPutResponseHopLimit HttpEndpoint HttpProtocolIpv6=disabled InstanceMetadataTags} \
         InstanceMarketOptions{MarketType=spot SpotOptions{MaxPrice SpotInstanceType=one-time InstanceInterruptionBehavior=terminate}} \
         BlockDeviceMapping[]{DeviceName Ebs{VolumeSize VolumeType Iops Throughput Encrypted DeleteOnTermination}} \
         NetworkInterface[]{DeviceIndex=0 SubnetId SecurityGroupId[] AssociatePublicIpAddress PrivateIpAddress Description \
         DeleteOnTermination=true InterfaceType=interface NetworkCardIndex=0} \
         +tags=instance|volume|network-interface|spot-instances-request \
         CapacityReservationSpecification{CapacityReservationPreference=open} HibernationOptions{Configured=false} \
         EnclaveOptions{Enabled=false} MaintenanceOptions{AutoRecovery=default} \
         NetworkPerformanceOptions{BandwidthWeighting=default} \
         PrivateDnsNameOptions{HostnameType=ip-name EnableResourceNameDnsARecord=false EnableResourceNameDnsAAAARecord=false}"
    };
}
pub(super) use launch_parameters;

/// The decoded user data of a launch or of a template.
pub fn user_data(data: &Params) -> Result<Vec<u8>, ApiError> {
    let Some(text) = data.text("UserData") else { return Ok(Vec::new()) };
    let compact: String = text.split_ascii_whitespace().collect();
    let decoded = BASE64
        .decode(compact)
        .map_err(|_| ApiError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."))?;
    if decoded.len() > USER_DATA_BYTES_MAX {
        let message = format!("User data is limited to {USER_DATA_BYTES_MAX} bytes");
        return Err(ApiError::new("InvalidParameterValue", message));
    }
    Ok(decoded)
}
