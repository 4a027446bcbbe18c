//! What a widget shows: `widget` reads it, `widget_chart` draws it.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::query::Query;
use crate::chart::{Color, Kind, Legend, Side, Theme};

/// What to show.
#[derive(Debug)]
pub struct Widget {
    pub title: String,
    pub width: u32,
    pub height: u32,
    pub theme: Theme,
    pub view: Kind,
    pub stacked: bool,
    /// One value over the whole range instead of one a period: for bars and pies.
    pub whole_range: bool,
    pub legend: Legend,
    pub start: Timestamp,
    pub end: Timestamp,
    pub offset: Offset,
    pub left: Axis,
    pub right: Axis,
    pub rows: Vec<Row>,
    pub horizontal: Vec<crate::chart::Horizontal>,
    pub vertical: Vec<crate::chart::Vertical>,
}

#[derive(Debug, Default)]
pub struct Axis {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub label: Option<String>,
    pub hides_units: bool,
}

/// One entry of `metrics`.
#[derive(Debug)]
pub struct Row {
    pub query: Query,
    /// As it was written; for labels.
    pub stat: String,
    pub color: Option<Color>,
    pub side: Side,
    pub visible: bool,
}
