//! What `diff`, `up` and `down` show: for each cluster what comes, the changes below, then summary and price.

mod field;

use console::measure_text_width;

use super::printable::{one_line, printable};
use super::style::Paint;
use super::table::table;
use crate::catalog::prices::SOURCE;
use crate::cloud::address::Address;
use crate::engine::plan::Report;
use crate::resource::change::{Action, Change};
use crate::resource::outlook::{Part, Price, Prices};

/// Hours in an average month, as AWS's own calculator counts them.
const HOURS_PER_MONTH: f64 = 730.0;
/// Where a sentence has less room than this beside its name, it goes below.
const SENTENCE_CHARS_MIN: usize = 36;
/// The widest symbol.
const SYMBOL_WIDTH: usize = 3;

/// How a plan is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The parts of what is created and deleted, too, and all fields.
    pub details: bool,
    /// Columns; `u16::MAX` where nothing bounds a line.
    pub width: u16,
    pub paint: Paint,
}

/// The plan as text; every line ends in a newline.
pub fn render(report: &Report, view: View) -> String {
    let report = &cleaned(report);
    let paint = view.paint;
    let mut out = format!("{} on {}\n", paint.bold(&report.stack), report.provider);
    let parts: Vec<&Part> = report.parts.iter().filter(|part| is_shown(part.action, &part.consequence)).collect();
    if !parts.is_empty() {
        out.push('\n');
    }
    let width = parts.iter().map(|part| measure_text_width(part.part.as_str())).max().unwrap_or(0);
    for part in &parts {
        out.push_str(&row(1, (part.action, part.part.as_str(), &part.consequence), width, view));
        out.push_str(&changes(part, report, view));
    }
    out.push('\n');
    out.push_str(&summary(report, paint));
    out.push_str(&price(report, view));
    out
}

/// The report without what could play with a terminal: names, tags and user data are others' words.
fn cleaned(report: &Report) -> Report {
    let clean = |address: &Address| Address::parse(one_line(address.as_str()));
    let mut report = report.clone();
    report.stack = one_line(&report.stack);
    for part in &mut report.parts {
        part.part = clean(&part.part);
        part.addresses.iter_mut().chain(&mut part.rolled).for_each(|address| *address = clean(address));
        part.consequence = one_line(&part.consequence);
    }
    for price in &mut report.prices.parts {
        price.part = clean(&price.part);
    }
    report.prices.total.unpriced = report.prices.total.unpriced.iter().map(|name| one_line(name)).collect();
    for change in &mut report.changes {
        change.address = clean(&change.address);
        change.reason = one_line(&change.reason);
        for field in &mut change.fields {
            field.path = one_line(&field.path);
            for value in [&mut field.observed, &mut field.desired].into_iter().flatten() {
                *value = printable(value).into_owned();
            }
        }
    }
    report
}

/// What is unchanged is shown only where there is something to say about it, such as a live capacity.
fn is_shown(action: Action, words: &str) -> bool {
    action != Action::Unchanged || !words.is_empty()
}

/// The changes of a part, each with its fields.
fn changes(part: &Part, report: &Report, view: View) -> String {
    let by_line = match part.action {
        Action::Create | Action::Delete => !view.details,
        Action::Unchanged => true,
        Action::Update | Action::Replace => false,
    };
    if by_line {
        return String::new();
    }
    let changes = report.changes.iter().filter(|change| part.addresses.contains(&change.address));
    let changes: Vec<&Change> = changes.filter(|change| is_shown(change.action, &change.reason)).collect();
    let width = changes.iter().map(|change| measure_text_width(change.address.within(&part.part))).max().unwrap_or(0);
    let mut out = String::new();
    for change in changes {
        let action = shown_action(part, change);
        out.push_str(&row(5, (action, change.address.within(&part.part), &change.reason), width, view));
        if view.details || change.action != Action::Create {
            let fields = change.fields.iter().filter(|field| view.details || !field::follows(field));
            fields.for_each(|field| out.push_str(&field::render(field, view)));
        }
    }
    out
}

/// Fixed instances are changed by replacing them, without anything but them being new.
fn shown_action(part: &Part, change: &Change) -> Action {
    if part.rolled.contains(&change.address) { Action::Replace } else { change.action }
}

/// Symbol, name and a sentence that goes on below its beginning.
fn row(indent: usize, (action, name, words): (Action, &str, &str), name_width: usize, view: View) -> String {
    let (paint, symbol) = (view.paint, action.symbol());
    let padding = " ".repeat(indent + SYMBOL_WIDTH - symbol.len());
    let column = indent + SYMBOL_WIDTH + 1 + name_width + 2;
    let columns = usize::from(view.width);
    let (column, below) = match columns.checked_sub(column) {
        Some(room) if room >= SENTENCE_CHARS_MIN => (column, false),
        _ => (indent + SYMBOL_WIDTH + 3, true),
    };
    let lines = wrap(words, columns.saturating_sub(column).max(SENTENCE_CHARS_MIN));
    let dim = |line: &str| if action == Action::Unchanged { paint.dim(line) } else { line.to_owned() };
    let mut out = format!("{padding}{} {name}", paint_action(action, symbol, paint));
    for (index, line) in lines.iter().enumerate() {
        if index == 0 && !below {
            out.push_str(&" ".repeat(name_width - measure_text_width(name) + 2));
        } else {
            out.push('\n');
            out.push_str(&" ".repeat(column));
        }
        out.push_str(&dim(line));
    }
    out.push('\n');
    out
}

/// Breaks between words; a word that is longer than a line stays whole.
fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if measure_text_width(line) + 1 + measure_text_width(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn paint_action(action: Action, text: &str, paint: Paint) -> String {
    match action {
        Action::Create => paint.good(text),
        Action::Update => paint.warn(text),
        Action::Replace | Action::Delete => paint.bad(text),
        Action::Unchanged => text.to_owned(),
    }
}

/// `2 to update, 1 to replace, 14 unchanged; replaces 4 instances`, counted as the lines above have it.
fn summary(report: &Report, paint: Paint) -> String {
    let summary = report.summary;
    if summary.is_empty() {
        return paint.good("No changes: the cloud matches the stack.") + "\n";
    }
    let rolled = report.parts.iter().map(|part| part.rolled.len()).sum::<usize>();
    let parts: Vec<String> = [
        (summary.create, Action::Create, "to create"),
        (summary.update.saturating_sub(rolled), Action::Update, "to update"),
        (summary.replace + rolled, Action::Replace, "to replace"),
        (summary.delete, Action::Delete, "to delete"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, action, words)| paint_action(action, &format!("{count} {words}"), paint))
    .chain((summary.unchanged > 0).then(|| format!("{} unchanged", summary.unchanged)))
    .collect();
    parts.join(", ") + &replaced_instances(&report.parts, paint) + "\n"
}

/// `; replaces 3 instances in 2 clusters`
fn replaced_instances(parts: &[Part], paint: Paint) -> String {
    let counts: Vec<u32> = parts.iter().map(|part| part.replaced_instances).filter(|count| *count > 0).collect();
    let instances = match counts.iter().sum::<u32>() {
        0 => return String::new(),
        1 => "1 instance".to_owned(),
        count => format!("{count} instances"),
    };
    let clusters = if counts.len() > 1 { format!(" in {} clusters", counts.len()) } else { String::new() };
    format!("; {}", paint_action(Action::Replace, &format!("replaces {instances}{clusters}"), paint))
}

/// What it costs: a line where nothing changes, otherwise a row for each part with what it costs now and afterwards.
fn price(report: &Report, view: View) -> String {
    let prices = &report.prices;
    if prices.parts.is_empty() {
        return String::new();
    }
    let source = view.paint.dim(SOURCE);
    if report.summary.is_empty() {
        return format!("{}\n{source}\n", cost_line(prices));
    }
    let is_new = prices.total.now == 0.0 && prices.parts.iter().all(|part| part.hourly.unpriced.is_empty());
    let total = ("total", &prices.total);
    let parts = prices.parts.iter().map(|part| (part.part.as_str(), &part.hourly)).chain([total]);
    let rows = parts.map(|(name, price)| {
        let now = amount(price.now, price.now, price);
        let after = amount(price.min, price.max, price);
        if is_new { vec![name.to_owned(), after] } else { vec![name.to_owned(), now, after] }
    });
    let header = if is_new { &["an hour on AWS", "price"][..] } else { &["an hour on AWS", "now", "after"] };
    let table = table(header, &[1, 2][..header.len() - 1], rows.collect(), view.width);
    let mut out = format!("\n{table}\n");
    if let Some(unknown) = unknown(&prices.total) {
        out.push_str(&format!("{unknown}\n"));
    }
    let month = monthly(&prices.total);
    if prices.total.max > 0.0 {
        out.push_str(&format!("{month}\n"));
    }
    out.push_str(&source);
    out.push('\n');
    out
}

/// `$0.2000–$0.8000`, `at least $0.0225`
fn amount(min: f64, max: f64, price: &Price) -> String {
    let least = match (price.unpriced.is_empty(), max > 0.0) {
        (true, _) => "",
        (false, true) => "at least ",
        (false, false) => return "not known".to_owned(),
    };
    if is_one(min, max) { format!("{least}${min:.4}") } else { format!("{least}${min:.4}–${max:.4}") }
}

fn is_one(min: f64, max: f64) -> bool {
    (max - min).abs() < 0.000_05
}

fn monthly(price: &Price) -> String {
    let month = |hourly: f64| format!("${:.0}", hourly * HOURS_PER_MONTH);
    match is_one(price.min, price.max) {
        true => format!("{} a month", month(price.min)),
        false => format!("{} to {} a month", month(price.min), month(price.max)),
    }
}

fn unknown(price: &Price) -> Option<String> {
    let types: Vec<_> = price.unpriced.iter().map(String::as_str).collect();
    (!types.is_empty()).then(|| format!("no known price for {}", types.join(", ")))
}

/// `$0.6200 an hour on AWS, $453 a month`; of types without a price, their names.
pub fn cost_line(prices: &Prices) -> String {
    let total = &prices.total;
    let least = if total.unpriced.is_empty() { "" } else { "at least " };
    let hourly = match is_one(total.min, total.max) {
        true => format!("${:.4}", total.min),
        false => format!("${:.4} to ${:.4}", total.min, total.max),
    };
    let unknown = unknown(total).map(|unknown| format!("; {unknown}")).unwrap_or_default();
    format!("{least}{hourly} an hour on AWS, {}{unknown}", monthly(total))
}

#[cfg(test)]
mod tests;
