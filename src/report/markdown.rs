//! A run in a few lines of Markdown, for a pull request or a job's summary.

use super::words;
use crate::result::figures;
use crate::result::record::{Latency, RunResult};

pub fn markdown(run: &RunResult) -> String {
    let mut text = format!(
        "### {} under {}: {}\n\n{}\n\n",
        plain(&run.stack),
        plain(&run.scenario),
        words::verdict(run.verdict),
        plain(&words::summary(run))
    );
    if let Some(sentence) = words::between_clusters(run) {
        text += &format!("{}\n\n", plain(&sentence));
    }
    text += "| | requests | errors | rate | p50 | p95 | p99 |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
    for target in &run.targets {
        let errors = target.error_percent().map_or_else(|| "–".to_owned(), figures::percent);
        let latency = |of: fn(Latency) -> f64| target.latency_ms.map_or_else(|| "–".to_owned(), |l| figures::ms(of(l)));
        text += &format!(
            "| {} | {} | {errors} | {}/s | {} | {} | {} |\n",
            plain(&target.name),
            figures::count(target.requests),
            figures::rate(target.rate),
            latency(|latency| latency.p50),
            latency(|latency| latency.p95),
            latency(|latency| latency.p99),
        );
    }
    for threshold in &run.thresholds {
        let verdict = if threshold.held { "held" } else { "**missed**" };
        let measured = threshold.shown();
        text += &format!(
            "\n- {verdict}: `{}` for {}, measured {measured}{}",
            threshold.threshold.replace('`', "'"),
            plain(&threshold.target),
            figures::minutes(&threshold.lost_minutes)
        );
    }
    for caveat in words::caveats(run) {
        text += &format!("\n\n> {}", plain(&caveat));
    }
    text + "\n"
}

/// Names come from outside: what Markdown or HTML would read as markup is escaped, and a line stays one.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' | '~' => {
                out.push('\\');
                out.push(character);
            }
            '<' => out += "&lt;",
            '&' => out += "&amp;",
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::record::TargetResult;

    #[test]
    fn a_name_cannot_leave_its_cell() {
        let mut run = RunResult::empty("web", jiff::Timestamp::UNIX_EPOCH);
        let name = "a|b\n<script>`x`";
        run.targets.push(TargetResult { name: name.into(), requests: 10, errors: 10, ..TargetResult::default() });
        let text = markdown(&run);
        assert!(text.contains("| a\\|b &lt;script>\\`x\\` | 10 | 100 % | 0.00/s | – | – | – |"), "{text}");
        assert!(!text.contains("<script"));
    }
}
