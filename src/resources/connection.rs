//! AWS's clients of a provider.

use crate::aws::clients::Clients;
use crate::resource::provider::Provider;

/// What AWS's resource types act through.
///
/// # Panics
/// Where the provider is not AWS: its types are asked by their own provider only.
pub fn clients_of(provider: &dyn Provider) -> &Clients {
    provider.connection().downcast_ref().expect("AWS's types are asked by their own provider")
}
