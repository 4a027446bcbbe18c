//! `watch`: a stack live in a terminal of 80 columns and 24 lines, or more.
//!
//! `state` (which cluster, which page, what is asked) and `draw` (a view → a buffer of cells) know no terminal; `screen` is the
//! terminal, which is as before whatever ends the program.

pub mod chart;
mod draw;
mod figures;
mod keys;
mod screen;
mod state;
#[cfg(test)]
mod tests;

pub use figures::cluster_line;
pub use screen::Screen;
pub use state::{Effect, Key, State};
