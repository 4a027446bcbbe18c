//! What `--scale-until` found: the rate that so many instances carried, drawn and as a table.

use maud::{Markup, html};

use crate::chart::drawing::{Axis, Canvas, LEFT, figure, line, px, svg, x_labels};
use crate::result::figures;
use crate::result::record::{RunResult, Scaling};

pub fn section(run: &RunResult) -> Markup {
    let Some(scaling) = &run.scaling else { return html! {} };
    let found = scaling.steps.last();
    html! {
        h2 { "How many instances?" }
        p {
            @match (scaling.held, found) {
                (true, Some(step)) => {
                    strong { (step.instances) " of " (scaling.cluster) } " carry " (figures::rate(scaling.rate)) "/s: " (figures::rate(step.rate))
                    "/s were measured " (figures::duration(step.at)) " after the start."
                }
                (false, Some(step)) => {
                    (figures::rate(scaling.rate)) "/s did not hold: " (step.instances) " of " (scaling.cluster) " carried " (figures::rate(step.rate)) "/s."
                }
                (_, None) => { "No rate was measured: the run ended before its instances were healthy for long enough." }
            }
            " An instance was added where the rate did not hold, at least " (figures::duration(scaling.every)) " after the one before, up to " (scaling.max) "."
        }
        @if !scaling.steps.is_empty() {
            div.card {
                (figure("Rate against instances", "correct answers a second; the line is what was asked for", |canvas| draw(canvas, scaling)))
                div.scroll { table {
                    thead { tr { th.n { "Instances" } th.n { "Rate" } th.n { "Errors" } th.n { "After" } th.n { "" } } }
                    tbody { @for step in &scaling.steps { tr {
                        td.n { (step.instances) } td.n { (figures::rate(step.rate)) "/s" }
                        td.n { (step.error_percent.map_or_else(|| "–".to_owned(), figures::percent)) }
                        td.n { (figures::duration(step.at)) }
                        td.n { @if step.held { span.good-text { "held" } } @else { span.muted { "not yet" } } }
                    } } }
                } }
            }
        }
    }
}

fn draw(canvas: Canvas, scaling: &Scaling) -> Markup {
    let most = scaling.steps.iter().map(|step| step.instances).max().unwrap_or(1);
    let top = scaling.steps.iter().map(|step| step.rate).fold(scaling.rate, f64::max);
    let axis = Axis::linear(14.0, 170.0, top * 1.05);
    let bottom = axis.top + axis.height;
    let x = |instances: f64| LEFT + canvas.plot() * instances / (f64::from(most) + 0.5);
    let width = (canvas.plot() / (f64::from(most) + 0.5) * 0.6).min(48.0);
    svg(
        canvas,
        bottom + 26.0,
        "Rate against instances",
        html! {
            (axis.draw(canvas, figures::rate_tick))
            @for step in &scaling.steps {
                rect class="s0" x=(px(x(step.instances.into()) - width / 2.0)) y=(px(axis.y(step.rate))) width=(px(width)) height=(px(bottom - axis.y(step.rate))) {
                    title { (step.instances) ": " (figures::rate(step.rate)) "/s" }
                }
            }
            (x_labels(canvas, bottom + 18.0, ticks(most).map(|instances| (x(instances.into()), instances.to_string()))))
            (line("mark", LEFT, axis.y(scaling.rate), canvas.end(), axis.y(scaling.rate)))
            (line("axis", LEFT, bottom, canvas.end(), bottom))
        },
    )
}

/// At most ten, in whole numbers.
pub fn ticks(most: u32) -> impl Iterator<Item = u32> {
    (1..=most).step_by((most as usize).div_ceil(10).max(1))
}
