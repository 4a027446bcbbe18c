//! Any bytes as damage to calls that boto3 once sent, and the region's endpoint that takes them; see `Calls`.
#![no_main]

use cloudscale::region::fuzz::calls::Calls;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(reason) = runtime.block_on(Calls::from_bytes(data).run()) {
        panic!("{reason}");
    }
});
