//! Where a load stands in its schedule: what it demands now, what comes next, how long it goes on.

use std::time::Duration;

use super::plan::Plan;
use super::scenario::{Flow, Load, Phase};
use crate::clock::speed;
use crate::result::figures;

/// By the wall.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Now {
    /// Requests a second; `None` where nothing open is under way, or it is not known when it began.
    pub demand: Option<f64>,
    /// `None` where a phase ends with its requests.
    pub left: Option<Duration>,
    pub next: Option<String>,
}

/// How long a phase takes; `None` where its requests say so.
fn length(phase: &Phase) -> Option<Duration> {
    let ends_earlier = matches!(&phase.load, Load::Closed(closed) if closed.iterations.is_some());
    phase.load.lasts().filter(|_| !ends_earlier)
}

fn whole(flow: &Flow) -> Option<Duration> {
    flow.phases.iter().map(length).sum()
}

/// `current` says which phase of each flow is under way.
pub fn now(plan: &Plan, current: impl Fn(usize) -> Option<usize>, elapsed: Duration) -> Now {
    let once: Option<Duration> =
        plan.flows.iter().map(whole).try_fold(Duration::ZERO, |longest, flow| Some(longest.max(flow?)));
    let repeat = u32::try_from(plan.repeat).unwrap_or(1);
    let mut now = Now { left: once.map(|once| (once * repeat).saturating_sub(elapsed)), ..Now::default() };
    // Repetitions begin together, where their length is known.
    let lap = once
        .filter(|once| !once.is_zero())
        .map_or(elapsed, |once| Duration::from_secs_f64(elapsed.as_secs_f64() % once.as_secs_f64()));
    for (number, flow) in plan.flows.iter().enumerate() {
        let Some(phase) = current(number) else { continue };
        let before: Option<Duration> = flow.phases[..phase].iter().map(length).sum();
        let inside = before.map(|before| lap.saturating_sub(before));
        if let (Load::Open { curve, .. }, Some(inside)) = (&flow.phases[phase].load, inside) {
            *now.demand.get_or_insert(0.0) += curve.rate_at(inside);
            if let (None, Some((at, rate))) = (&now.next, curve.next_bend(inside)) {
                let left = speed::region(at.saturating_sub(inside)).as_secs_f64();
                now.next = Some(format!("{}/s in {}", figures::rate_tick(rate.round()), figures::duration(left)));
            }
        }
        if now.next.is_none() {
            now.next = flow.phases.get(phase + 1).map(|next| {
                let left =
                    inside.zip(length(&flow.phases[phase])).map(|(inside, length)| length.saturating_sub(inside));
                let left = left.map(|left| format!(" in {}", figures::duration(speed::region(left).as_secs_f64())));
                format!("{}{}", next.label(), left.unwrap_or_default())
            });
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::arrivals::{Curve, Spacing};
    use crate::benchmark::plan::Target;
    use crate::benchmark::scenario::Closed;
    use crate::benchmark::tests::scenario;

    fn at(loads: Vec<Load>, phase: usize, elapsed: u64) -> Now {
        let target = Target { name: "web".into(), url: "http://127.0.0.1:1/".into() };
        let plan = Plan::new(&scenario(loads), &[target], 1).expect("a plan");
        now(&plan, |_| Some(phase), Duration::from_secs(elapsed))
    }

    #[test]
    fn demand_next_stage_and_time_left_follow_the_schedule() {
        let seconds = Duration::from_secs;
        let climb = Curve::stages(10.0, &[(110.0, seconds(100)), (110.0, seconds(50))]);
        let loads = || vec![Load::Open { curve: climb.clone(), spacing: Spacing::Even }, Load::Pause(seconds(30))];
        let climbing = Now { demand: Some(30.0), left: Some(seconds(160)), next: Some("110/s in 1 min 20 s".into()) };
        assert_eq!(at(loads(), 0, 20), climbing);
        let steady = Now { demand: Some(110.0), left: Some(seconds(60)), next: Some("pause 30 s in 30 s".into()) };
        assert_eq!(at(loads(), 0, 120), steady);
        assert_eq!(at(loads(), 1, 160), Now { demand: None, left: Some(seconds(20)), next: None });
        let closed = Load::Closed(Closed { users: 1, iterations: Some(5), duration: None, think_time: Duration::ZERO });
        let open = Now { demand: None, left: None, next: Some("pause 30 s".into()) };
        assert_eq!(at(vec![closed, Load::Pause(seconds(30))], 0, 7), open);
    }
}
