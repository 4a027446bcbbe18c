//! Any bytes as what a client and a target send through the load balancer's proxy; see `Streams` for how they are read.
#![no_main]

use cloudscale::region::elbv2::proxy::fuzz::Streams;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Err(reason) = runtime.block_on(Streams::from_bytes(data).run()) {
        panic!("{reason}");
    }
});
