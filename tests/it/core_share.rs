//! A share of a core as a virtual CPU, and credits: what holds an instance to its processors, as CloudWatch shows it.

use std::time::Duration;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use aws_sdk_ec2::types::InstanceType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudscale::aws::clients::Clients;
use cloudscale::clock;

use super::local_region::{LocalRegion, eventually, kill};
use super::moto::Answer;

/// Two processes that would take a whole core each.
const BUSY: &str = "#!/bin/bash\n(while :; do :; done) &\nwhile :; do :; done\n";

async fn launch(clients: &Clients, kind: InstanceType) -> String {
    let user_data = BASE64.encode(BUSY);
    let request = clients.ec2.run_instances().image_id("ami-0a1b2c3d4e5f60001").instance_type(kind);
    let answer = request.min_count(1).max_count(1).user_data(user_data).send().await.expect("an instance");
    answer.instances()[0].instance_id().expect("an id").to_owned()
}

/// The values of a metric, oldest first.
async fn values(clients: &Clients, instance: &str, metric: &str, period: i32) -> Vec<f64> {
    let dimension = Dimension::builder().name("InstanceId").value(instance).build();
    let answer = clients
        .cloudwatch
        .get_metric_statistics()
        .namespace("AWS/EC2")
        .metric_name(metric)
        .dimensions(dimension)
        .start_time(DateTime::from_secs(clock::now().as_second() - 600))
        // Its time runs ahead of ours.
        .end_time(DateTime::from_secs(clock::now().as_second() + 4 * 3600))
        .period(period)
        .statistics(Statistic::Average)
        .send()
        .await;
    let mut points = answer.expect("datapoints").datapoints.unwrap_or_default();
    points.sort_by_key(|point| point.timestamp().map(DateTime::secs));
    points.iter().filter_map(|point| point.average()).collect()
}

/// What the processes of an instance have used of the processors.
fn used(region: &LocalRegion, instance: &str) -> Duration {
    let marker = format!("CLOUDSCALE_INSTANCE={instance}");
    let is_its = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == marker.as_bytes())
    };
    let ticks = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<u64> = stat[stat.rfind(')').map_or(0, |end| end + 1)..]
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        fields.get(11..13).map_or(0, |times| times.iter().sum::<u64>())
    };
    let ticks: u64 = region.processes().into_iter().filter(is_its).map(ticks).sum();
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_cpu_is_its_share_of_a_core_until_the_credits_are_gone() {
    let region = LocalRegion::none();
    let start = ["local", "start", "--speed", "120", "--core-share", "5%"];
    Answer::of(&mut region.command(&start)).ok();
    let status = region.status();
    assert_eq!(status["core_share"]["share"], "5%");
    let by = status["core_share"]["by"].as_str().expect("what holds them").to_owned();
    assert!(by == "cgroup" || by == "slices", "{by}");
    let text = String::from_utf8_lossy(&region.run(&["local", "status"]).stdout).into_owned();
    assert!(text.contains("A virtual CPU is 5% of a core"), "{text}");

    let clients = region.clients();
    // One virtual CPU, 3 credits an hour (5 %), 30 at launch; and two virtual CPUs without credits.
    let burstable = launch(&clients, InstanceType::T2Nano).await;
    let fixed = launch(&clients, InstanceType::M4Large).await;
    eventually("processes that are busy", || async {
        (used(&region, &fixed) > Duration::ZERO && used(&region, &burstable) > Duration::ZERO).then_some(())
    })
    .await;
    let (begun, fixed_before, burstable_before) = (clock::instant(), used(&region, &fixed), used(&region, &burstable));
    clock::sleep(Duration::from_secs(8)).await;
    let elapsed = begun.elapsed().as_secs_f64();
    let share = |instance: &str, before: Duration| (used(&region, instance) - before).as_secs_f64() / elapsed;
    let (two, one) = (share(&fixed, fixed_before), share(&burstable, burstable_before));
    // Ten and five per cent of a core at most, to the length of a slice; without a hold they would take all there is. What a busy
    // machine leaves them may be less.
    assert!(two > 0.0 && two <= 0.13, "m4.large took {two} of a core, held by {by}");
    assert!(one > 0.0 && one <= 0.065, "t2.nano took {one} of a core, held by {by}");

    // 30 credits at 0.95 a minute more than it earns: half an hour, a quarter of a minute by the wall.
    eventually("the credits are gone", || async {
        values(&clients, &burstable, "CPUCreditBalance", 300).await.last().is_some_and(|last| *last < 0.5).then_some(())
    })
    .await;
    let spent = values(&clients, &burstable, "CPUCreditUsage", 300).await;
    assert!(spent.iter().any(|five_minutes| *five_minutes > 1.0), "{spent:?}");
    let balance = values(&clients, &burstable, "CPUCreditBalance", 300).await;
    assert!(balance.len() >= 5 && balance.first() > balance.last(), "{balance:?}");
    eventually("the baseline", || async {
        let now = values(&clients, &burstable, "CPUUtilization", 60).await;
        let last = now.get(now.len().checked_sub(4)?..)?;
        (last.iter().sum::<f64>() / 4.0 < 20.0).then_some(())
    })
    .await;
    let of_fixed = values(&clients, &fixed, "CPUUtilization", 60).await;
    let mean = of_fixed.iter().sum::<f64>() / of_fixed.len().max(1) as f64;
    let had = (two / 0.1).min(1.0);
    assert!(mean > 60.0 * had, "busy all the time, counted against its share: {mean} %, when it had {had} of it");
    assert!(values(&clients, &fixed, "CPUCreditBalance", 300).await.is_empty(), "an m4 has no credits");

    // What waits for its share hears of its end all the same, and nothing is left.
    let stopped = clock::instant();
    Answer::of(&mut region.command(&["local", "stop"])).ok();
    assert!(region.processes().is_empty(), "after {:?}", stopped.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_leaves_nothing_behind_when_its_region_is_killed() {
    let region = LocalRegion::none();
    Answer::of(&mut region.command(&["local", "start", "--core-share", "2%"])).ok();
    let clients = region.clients();
    let instance = launch(&clients, InstanceType::M4Large).await;
    eventually("processes that are busy", || async { (used(&region, &instance) > Duration::ZERO).then_some(()) }).await;
    let pid = region.status()["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process");
    kill(pid);
    eventually("the end of every process", || async { region.processes().is_empty().then_some(()) }).await;
}
