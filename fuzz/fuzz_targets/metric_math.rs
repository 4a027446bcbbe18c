//! Any bytes as an expression of metric math.
#![no_main]

use cloudscale::region::fuzz::parsers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(reason) = parsers::metric_math(data) {
        panic!("{reason}");
    }
});
