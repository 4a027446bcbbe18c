//! Bytes that nobody expects, given to what reads from outside: for the bounded tests (`tests.rs`, fixed seeds) and for
//! cargo-fuzz (`fuzz/`), which look for more. Each entry takes any bytes and says what came out that must not; a panic or a
//! run without end is a finding, too. The load balancer's proxy has its own: `elbv2::proxy::fuzz`.

pub mod calls;
pub mod parsers;
#[cfg(test)]
mod tests;
