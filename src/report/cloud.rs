//! What the cloud did, when and why: the groups, what was broken on purpose, and everything that happened, one by one.

use maud::{Markup, html};

use super::events;
use crate::result::figures;
use crate::result::record::{Cloud, RunResult};

/// Events shown one by one.
const EVENTS_MAX: usize = 60;

/// What the groups did, when and why.
pub fn section(run: &RunResult) -> Markup {
    let Some(cloud) = run.cloud.as_ref().filter(|cloud| !cloud.capacity.is_empty()) else { return html! {} };
    let mut clusters: Vec<&str> = cloud.capacity.iter().map(|point| point.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    html! {
        h2 { "What did scaling do?" }
        div.card {
            div.scroll { table {
                thead { tr { th { "Cluster" } th.n { "Running" } th.n { "Launched" } th.n { "Ended" } th.n { "Instance-hours" } } }
                tbody { @for cluster in clusters {
                    @let events = |ended: bool| cloud.events.iter()
                        .filter(|event| event.cluster == cluster && event.what.starts_with("Terminating") == ended).count();
                    tr {
                        td.wrap { (cluster) }
                        td.n { @if let Some((least, most)) = cloud.running(cluster) { (least) @if most != least { " to " (most) } } }
                        td.n { (events(false)) } td.n { (events(true)) }
                        td.n { (format!("{:.3}", cloud.instance_hours(cluster))) }
                    }
                } }
            } }
            @if !cloud.disruptions.is_empty() {
                div.scroll { table {
                    thead { tr { th { "After" } th { "Cluster" } th { "Broken on purpose" } th.n { "Noticed in" } th.n { "Healed in" } th.n { "Failed" } } }
                    tbody { @for disruption in &cloud.disruptions { tr {
                        td.one { (figures::duration(disruption.at)) } td { (disruption.cluster) }
                        td.wrap { "✕ " (disruption.what) " " (disruption.instances.join(", ")) }
                        @for time in [disruption.detected_after, disruption.replaced_after] {
                            td.n { (time.map_or_else(|| "–".to_owned(), figures::duration)) }
                        }
                        td.n { (figures::count(disruption.failed)) }
                    } } }
                } }
            }
            (happenings(cloud))
        }
    }
}

/// Activities, alarms and refreshes one by one; what was broken on purpose has a table of its own.
fn happenings(cloud: &Cloud) -> Markup {
    let all: Vec<_> = events::of(cloud).into_iter().filter(|one| one.mark != '✕').collect();
    html! {
        @if cloud.events.is_empty() { p.muted { "No group launched or ended an instance during the run." } }
        @if !all.is_empty() {
            div.scroll { table {
                thead { tr { th { "After" } th { "Cluster" } th { "What" } th { "Why" } } }
                tbody { @for one in all.iter().take(EVENTS_MAX) { tr {
                    td.one { (figures::duration(one.at)) } td { (one.cluster) }
                    td.wrap { (one.mark) " " (one.what) } td.wrap.small { (one.why) }
                } } }
            } }
            @if all.len() > EVENTS_MAX { p.muted.small { "and " (all.len() - EVENTS_MAX) " more, all in result.json" } }
        }
        @for missing in &cloud.missing { p.muted.small { "Could not be read: " (missing) "." } }
    }
}
