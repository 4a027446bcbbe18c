//! Any bytes as a request's body in the protocol that the first byte names, or as a page token.
#![no_main]

use cloudscale::region::fuzz::parsers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(reason) = parsers::wire(data) {
        panic!("{reason}");
    }
});
