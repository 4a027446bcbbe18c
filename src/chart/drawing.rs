//! What the figures of a page are made of: canvas, axes, lines and letters, as inline SVG. Colours come from the classes of
//! `chart.css`, so that light, dark and print need no second drawing.
//!
//! A drawing scales its letters with its width, so each chart is drawn twice, for wide and for narrow screens, and CSS
//! shows one of them.

use maud::{Markup, html};

use super::letters;

/// Of a label of an axis, as `chart.css` has it.
const LABEL_SIZE: f64 = 12.0;
/// A page's letters may be wider than those that are measured here.
const WIDER: f64 = 1.15;
const LABELS_APART: f64 = 6.0;
const LABEL_HEIGHT: f64 = 14.0;

pub const LEFT: f64 = 58.0;
const RIGHT: f64 = 12.0;

/// How wide a drawing is, in its own units.
#[derive(Clone, Copy)]
pub struct Canvas {
    pub width: f64,
    /// What its right edge leaves free.
    pub right: f64,
    pub columns_max: usize,
    pub ticks: usize,
}

const WIDE: Canvas = Canvas { width: 760.0, right: RIGHT, columns_max: 180, ticks: 8 };
const NARROW: Canvas = Canvas { width: 380.0, right: RIGHT, columns_max: 90, ticks: 4 };

impl Canvas {
    pub fn plot(self) -> f64 {
        self.end() - LEFT
    }

    /// Where its axes end.
    pub fn end(self) -> f64 {
        self.width - self.right
    }
}

pub fn figure(title: &str, note: &str, draw: impl Fn(Canvas) -> Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { strong { (title) } " " span.muted { (note) } }
            div.wide { (draw(WIDE)) }
            div.narrow { (draw(NARROW)) }
        }
    }
}

pub fn svg(canvas: Canvas, height: f64, label: &str, inner: Markup) -> Markup {
    html! {
        svg viewBox=(format!("0 0 {} {height}", canvas.width)) role="img" aria-label=(label) { (inner) }
    }
}

pub fn text(class: &str, x: f64, y: f64, words: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) { (words) } }
}

pub fn line(class: &str, x1: f64, y1: f64, x2: f64, y2: f64) -> Markup {
    html! { line class=(class) x1=(px(x1)) y1=(px(y1)) x2=(px(x2)) y2=(px(y2)) {} }
}

pub fn px(value: f64) -> String {
    format!("{:.1}", value)
}

/// A linear or logarithmic vertical axis.
pub struct Axis {
    pub top: f64,
    pub height: f64,
    low: f64,
    high: f64,
    /// From one tick to the next; `None` of a logarithmic one.
    step: Option<f64>,
}

impl Axis {
    pub fn linear(top: f64, height: f64, max: f64) -> Self {
        Self::stepped(top, height, max.max(1e-6), step(max.max(1e-6), parts_max(height)))
    }

    /// From 0 in whole numbers.
    pub fn counts(top: f64, height: f64, max: u32) -> Self {
        let max = f64::from(max.max(2));
        Self::stepped(top, height, max, step(max, parts_max(height)).max(1.0))
    }

    fn stepped(top: f64, height: f64, max: f64, step: f64) -> Self {
        // A hair's breadth above a tick is that tick.
        Self { top, height, low: 0.0, high: (max / step - 1e-9).ceil() * step, step: Some(step) }
    }

    pub fn log(top: f64, height: f64, min: f64, max: f64) -> Self {
        let steps: Vec<f64> =
            (-3..=8).flat_map(|decade| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(decade))).collect();
        let low = steps.iter().copied().rfind(|step| *step <= min).unwrap_or(steps[0]);
        let high = steps.iter().copied().find(|step| *step >= max && *step > low).unwrap_or(low * 10.0);
        Self { top, height, low, high, step: None }
    }

    pub fn y(&self, value: f64) -> f64 {
        let part = match self.step {
            None => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            Some(_) => value / self.high,
        };
        self.top + self.height * (1.0 - part.clamp(0.0, 1.0))
    }

    pub fn ticks(&self) -> Vec<f64> {
        if let Some(step) = self.step {
            let parts = (self.high / step).round() as u32;
            return (0..=parts).map(|part| f64::from(part) * step).collect();
        }
        let decades = (self.low.log10().floor() as i32)..=(self.high.log10().floor() as i32);
        // Three labels in a decade need the height of three lines.
        let few = self.height / (self.high / self.low).log10() >= 39.0;
        let factors: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let all = decades.flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)));
        all.filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick)).collect()
    }

    /// Lines and labels of its ticks; a label that the one before it reads like is left out.
    pub fn draw(&self, canvas: Canvas, label: impl Fn(f64) -> String) -> Markup {
        let mut labels: Vec<(f64, String)> = self.ticks().into_iter().map(|tick| (tick, label(tick))).collect();
        labels.dedup_by(|next, kept| next.1 == kept.1);
        html! {
            @for (tick, label) in labels {
                (line("grid", LEFT, self.y(tick), canvas.end(), self.y(tick)))
                (text("y", LEFT - 7.0, self.y(tick) + 4.0, &label))
            }
        }
    }
}

/// The labels of a horizontal axis, from left to right: they stay inside, and one that would touch the one before it, or reads
/// like it, is left out.
pub fn x_labels(canvas: Canvas, y: f64, labels: impl IntoIterator<Item = (f64, String)>) -> Markup {
    let mut kept: Vec<(f64, String)> = Vec::new();
    let mut free_from = f64::NEG_INFINITY;
    for (x, label) in labels {
        let half = letters::width(&label, LABEL_SIZE) * WIDER / 2.0;
        let middle = x.clamp(half.min(canvas.width / 2.0), (canvas.width - half).max(canvas.width / 2.0));
        if middle - half < free_from || kept.last().is_some_and(|(_, last)| *last == label) {
            continue;
        }
        free_from = middle + half + LABELS_APART;
        kept.push((middle, label));
    }
    html! { @for (x, label) in kept { (text("x", x, y, &label)) } }
}

/// Points as a polyline has them.
pub fn points(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect::<Vec<_>>().join(" ")
}

/// A line's classes, its name and its points.
pub type Curve<'a> = (String, &'a str, Vec<(f64, f64)>);

/// Lines that lie on each other, so that all of them are seen.
pub fn curves(lines: &[Curve<'_>]) -> Markup {
    let places: Vec<_> = lines.iter().map(|(.., places)| places.clone()).collect();
    let ranks = super::ranks(&places);
    let dashes = |rank| super::dashes(rank).map(|(dash, gap, offset)| (format!("{dash} {gap}"), offset.to_string()));
    html! {
        @for ((class, name, places), rank) in lines.iter().zip(ranks) {
            @let dashes = dashes(rank);
            polyline class=(class) points=(points(places)) stroke-dasharray=[dashes.as_ref().map(|(dashes, _)| dashes)]
                stroke-dashoffset=[dashes.as_ref().map(|(_, offset)| offset)] { title { (name) } }
        }
    }
}

/// What stands for something that happened, as a shape: few fonts have such letters.
pub fn mark(symbol: char, x: f64, y: f64) -> String {
    let triangle = |x: f64, half: f64, up: f64| {
        format!(
            "M{} {}L{} {}L{} {}Z",
            px(x - half),
            px(y + half * up),
            px(x + half),
            px(y + half * up),
            px(x),
            px(y - half * up)
        )
    };
    match symbol {
        '▲' => triangle(x, 5.0, 1.0),
        '▼' => triangle(x, 5.0, -1.0),
        '±' => triangle(x - 3.6, 3.4, 1.0) + &triangle(x + 3.6, 3.4, -1.0),
        '✕' => {
            let (left, right, top, bottom) = (px(x - 4.5), px(x + 4.5), px(y - 4.5), px(y + 4.5));
            // As thick as its stroke: it has no inside.
            format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}")
        }
        // An exclamation mark.
        _ => format!(
            "M{x1} {top}h2.6v6h-2.6zM{x1} {dot}h2.6v2.6h-2.6z",
            x1 = px(x - 1.3),
            top = px(y - 5.0),
            dot = px(y + 2.6)
        ),
    }
}

/// How many parts the labels of an axis leave room for.
fn parts_max(height: f64) -> f64 {
    (height / LABEL_HEIGHT).floor().clamp(1.0, 5.0)
}

/// The smallest of 1, 2, 5, 10, 20 … that divides up to `max` into at most so many parts.
fn step(max: f64, parts_max: f64) -> f64 {
    let decade = 10f64.powf((max / parts_max).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * decade)
        .into_iter()
        .find(|step| max / step <= parts_max + 1e-9)
        .unwrap_or(10.0 * decade)
}

/// A step between ticks of time that gives at most `count` of them.
pub fn time_step(seconds: f64, count: usize) -> f64 {
    let steps =
        [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0];
    steps.into_iter().find(|step| seconds / step <= count as f64).unwrap_or(86_400.0)
}

pub fn plain_ms(value: f64) -> String {
    if value >= 1000.0 { format!("{} s", value / 1000.0) } else { format!("{} ms", (value * 1000.0).round() / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_touch_and_none_is_there_twice() {
        let labels = |spots: &[(f64, &str)]| {
            let spots = spots.iter().map(|(x, label)| (*x, (*label).to_owned()));
            let drawn = x_labels(NARROW, 20.0, spots).into_string();
            drawn.split('>').filter_map(|part| part.strip_suffix("</text")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[(58.0, "0"), (70.0, "50 %"), (110.0, "90 %"), (112.0, "99 %")]), ["0", "90 %"]);
        assert_eq!(labels(&[(60.0, "1 ms"), (200.0, "1 ms"), (300.0, "2 ms")]), ["1 ms", "2 ms"]);
        // Nothing leaves the drawing.
        let last = x_labels(NARROW, 20.0, [(379.0, "12:34:56".to_owned())]).into_string();
        let x: f64 = last.split(" x=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().parse().unwrap();
        assert!(x < 365.0, "{last}");
        let axis = Axis::linear(0.0, 100.0, 0.9).draw(NARROW, |tick| format!("{tick:.0}")).into_string();
        assert_eq!(axis.matches(">0<").count() + axis.matches(">1<").count(), 2, "{axis}");
    }

    #[test]
    fn equal_curves_are_both_seen() {
        let line = |class: &str| (class.to_owned(), "a", vec![(0.0, 1.0), (10.0, 2.0)]);
        let drawn = curves(&[line("curve s0"), line("curve s1")]).into_string();
        assert_eq!(drawn.matches("stroke-dasharray").count(), 1, "{drawn}");
    }

    #[test]
    fn axes_hold_what_they_show() {
        for max in [0.4, 1.0, 37.0, 999.0, 1001.0] {
            let axis = Axis::linear(0.0, 100.0, max);
            assert!(axis.high >= max && axis.high <= 1.7 * max, "{max}: {}", axis.high);
        }
        assert_eq!(Axis::linear(0.0, 104.0, 205.0).ticks(), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0]);
        // As many labels as there is room for, of instances whole ones.
        assert_eq!(Axis::linear(0.0, 34.0, 7.0).ticks(), [0.0, 5.0, 10.0]);
        assert_eq!(Axis::counts(0.0, 60.0, 10).ticks(), [0.0, 5.0, 10.0]);
        assert_eq!(Axis::counts(0.0, 60.0, 1).ticks(), [0.0, 1.0, 2.0]);
        let axis = Axis::log(0.0, 100.0, 0.3, 45.0);
        assert_eq!((axis.low, axis.high), (0.2, 50.0));
        assert_eq!(axis.ticks(), [0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
    }
}
