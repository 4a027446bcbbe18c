//! Any bytes as the JSON of a widget; what is not refused is drawn.
#![no_main]

use cloudscale::region::fuzz::parsers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(reason) = parsers::widget(data) {
        panic!("{reason}");
    }
});
