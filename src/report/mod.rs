//! One HTML file that says what a run measured; made of `result.json` and the widget images, nothing else.
//!
//! It needs no network and no script: styles, charts (inline SVG) and images are inside. `page.rs` lays it out, `chart.rs`
//! draws, `words.rs` puts figures into words, `compare.rs` sets two runs side by side. Everything from outside goes through
//! maud, which escapes it.

mod chart;
pub mod compare;
mod page;
pub mod words;

pub use page::{Images, render};

#[cfg(test)]
mod tests;
