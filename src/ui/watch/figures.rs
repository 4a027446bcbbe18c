//! Figures in few columns: three significant digits, `–` where nothing was measured.

use crate::observe::model::ClusterView;
use crate::result::figures;

/// What nobody measured.
pub const NONE: &str = "–";

/// `412/s`
pub fn rate(value: Option<f64>) -> String {
    value.map_or_else(
        || NONE.to_owned(),
        |rate| if rate == 0.0 { "0/s".into() } else { format!("{}/s", figures::rate(rate)) },
    )
}

/// `38.2 ms`, `1.24 s`
pub fn latency(milliseconds: Option<f64>) -> String {
    milliseconds.map_or_else(
        || NONE.to_owned(),
        |value| {
            if value < 999.5 {
                figures::ms(value)
            } else {
                format!("{:.*} s", if value < 9995.0 { 2 } else { 1 }, value / 1000.0)
            }
        },
    )
}

/// A share that is nearly nothing is distinguished from none.
pub fn errors(percent: Option<f64>) -> String {
    match percent {
        Some(value) if value > 0.0 && value < 0.1 => "<0.1 %".to_owned(),
        value => self::percent(value),
    }
}

pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(
        || NONE.to_owned(),
        |value| if value >= 10.0 || value == 0.0 { format!("{value:.0} %") } else { format!("{value:.1} %") },
    )
}

/// `4 +2`: in service, and on the way; `4 -1`: on the way out.
pub fn in_service(cluster: &ClusterView) -> String {
    let capacity = cluster.capacity;
    let mut text = capacity.in_service.to_string();
    if capacity.warming > 0 {
        text += &format!(" +{}", capacity.warming);
    }
    if capacity.leaving > 0 {
        text += &format!(" -{}", capacity.leaving);
    }
    text
}

/// `4/6`: of the targets that are not on their way out.
pub fn healthy(cluster: &ClusterView) -> String {
    format!("{}/{}", cluster.capacity.healthy.unwrap_or_default(), cluster.targets)
}

/// The columns of a cluster's row, in the order of the headings.
pub fn cells(cluster: &ClusterView) -> [String; 8] {
    let now = cluster.now;
    [
        cluster.capacity.desired.to_string(),
        in_service(cluster),
        healthy(cluster),
        rate(now.rate),
        latency(now.p50_ms),
        latency(now.p99_ms),
        errors(now.errors),
        percent(now.cpu),
    ]
}

/// A cluster in one line of text: `web: desired 6, in service 4 +2, healthy 4/6, 412/s, p50 38 ms, p99 1.24 s, errors
/// 0.4 %, CPU 71 %`.
pub fn cluster_line(cluster: &ClusterView) -> String {
    let (name, [desired, in_service, healthy, rate, p50, p99, errors, cpu]) = (&cluster.name, cells(cluster));
    format!(
        "{name}: desired {desired}, in service {in_service}, healthy {healthy}, {rate}, p50 {p50}, p99 {p99}, errors {errors}, CPU {cpu}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_what_was_not_measured_is_no_zero() {
        assert_eq!([rate(Some(412.0)), rate(Some(0.0)), rate(None)], ["412/s", "0/s", "–"]);
        assert_eq!(
            [0.25, 38.24, 999.0, 1240.0, 12_400.0].map(|ms| latency(Some(ms))),
            ["250 µs", "38.2 ms", "999 ms", "1.24 s", "12.4 s"]
        );
        assert_eq!([errors(Some(0.04)), errors(Some(0.0)), errors(None)], ["<0.1 %", "0 %", "–"]);
        assert_eq!([percent(Some(0.4)), percent(Some(71.3)), percent(None)], ["0.4 %", "71 %", "–"]);
    }
}
