//! `cloudscale chaos`: breaks parts of a stack on purpose.

use std::path::PathBuf;
use std::time::Duration;

use super::{Outcome, Session, StackArg, cloud, stack_file};
use crate::chaos::experiment;
use crate::chaos::model::{Experiment, Kind, TargetInstance};
use crate::clock::{self, speed};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::problem::Problem;
use crate::resources::provider;

/// Break parts of a stack on purpose, to see it heal: kill, zone, interrupt, hang, slow, unhealthy
#[derive(Debug, clap::Args)]
pub struct Args {
    /// kill: EC2 terminates an instance; zone: all of a zone; interrupt: EC2 takes a spot instance away, with its notice two
    /// minutes before; hang: it answers nothing; slow: it runs for a tenth of the time;
    /// unhealthy: its application is gone
    #[arg(value_parser = kind)]
    kind: Kind,
    /// The stack file [default: ./stack.yaml, else the stack last used in this folder]
    stack: Option<PathBuf>,
    /// Only instances of this cluster
    #[arg(long)]
    cluster: Option<String>,
    /// How many instances at once, chosen by chance among those that serve
    #[arg(long, default_value_t = 1, value_name = "N")]
    count: usize,
    /// Repeat at this interval until `--for` is over; like every duration here in the region's time
    #[arg(long, value_parser = cloud::duration, value_name = "TIME")]
    every: Option<Duration>,
    /// How long an instance hangs or is slow, or after what time it is interrupted; with `--every`, for how long it is done again [default: 2m]
    #[arg(long = "for", value_parser = cloud::duration, value_name = "TIME", default_value = "2m", hide_default_value = true)]
    lasts: Duration,
    /// Skip the confirmation
    #[arg(short, long)]
    yes: bool,
}

fn kind(name: &str) -> Result<Kind, String> {
    let names = Kind::ALL.map(Kind::name).join(", ");
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("one of {names}"))
}

pub async fn run(args: &Args, session: &Session) -> Outcome {
    let stack = stack_file::known(&StackArg { stack: args.stack.clone() }, session)?;
    experiment::check(args.kind, provider::can_disturb(stack.provider))?;
    let Some(clients) = cloud::running(stack.provider, &stack.region, session).await? else {
        let problem = Problem::new("No matching instance", "no embedded region runs");
        return Err(problem.hint("`cloudscale up` brings the stack up").into());
    };
    let question = format!("{} instances of {} on AWS?", capital(args.kind), stack.name);
    let interrupt = cloud::interrupt();
    let engine = Engine::new(stack, clients, cloud::sink(session), interrupt.clone(), Duration::ZERO);
    if !cloud::confirm(engine.provider().costs_money(), args.yes, &question, session)? {
        return Ok(Exit::Ok);
    }
    let disruption = Experiment {
        kind: args.kind,
        cluster: args.cluster.clone(),
        count: args.count,
        lasts: args.every.map_or(args.lasts, |every| every.min(args.lasts)),
    };
    let until = clock::now() + args.lasts;
    loop {
        for target in experiment::disrupt(&engine, &disruption).await? {
            session.printer.result(&told(args.kind, &target));
        }
        let Some(every) = args.every.filter(|every| clock::now() + *every < until) else { return Ok(Exit::Ok) };
        if interrupt.run_until_cancelled(clock::sleep(speed::wall(every))).await.is_none() {
            return Ok(Exit::Interrupted);
        }
    }
}

/// `21:40:12  kill  i-0a19… (web, us-east-1a)`
fn told(kind: Kind, target: &TargetInstance) -> String {
    let at = clock::now().strftime("%H:%M:%S");
    format!("{at}  {kind}  {} ({}, {})", target.instance, target.cluster, target.zone)
}

fn capital(kind: Kind) -> &'static str {
    match kind {
        Kind::Zone => "Terminate the",
        _ => "Terminate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_that_is_read_again() {
        for known in Kind::ALL {
            assert_eq!(kind(known.name()), Ok(known));
        }
        assert!(kind("burn").is_err_and(|error| error.contains("kill, zone, interrupt, hang, slow, unhealthy")));
    }
}
