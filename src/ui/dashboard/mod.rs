//! `dashboard`: the one picture in a browser, served by this process to this machine alone.
//!
//! Whoever has the address may act on the stack, so it holds a secret, and no other page of the browser can get at it: `gate`
//! decides who is let in, `server` answers, `page/` is what is sent. Nothing comes from anywhere else.

mod gate;
mod server;

pub use server::{Dashboard, Served};
