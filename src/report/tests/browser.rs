//! The page as a browser lays it out: nothing wider than the screen, no letters over others, and prints that break between charts.
//!
//! Chromium looks at three widths at once, in frames without a window. Where there is none (`CHROMIUM` names one) the test says
//! so, and what the page's text alone can show is still checked.

use std::path::Path;

use self::chromium::{browse, chromium};
use super::super::*;
use super::run;
use crate::result::record::*;

#[path = "../../../tests/it/chromium.rs"]
mod chromium;

const WIDTHS: [u32; 3] = [400, 800, 1280];
/// Of A4, for a run that has all that a page can show; a laboratory's report of a few charts had 20 once.
const PAGES_MAX: usize = 17;

/// Puts what a frame's page does wrong into an attribute of the outer page's body.
const LOOK: &str = r#"
addEventListener("load", () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, width = frame.clientWidth, say = what => found.push(width + " px: " + what);
    if (page.documentElement.scrollWidth > width) say("scrolls sideways to " + page.documentElement.scrollWidth);
    for (const one of page.querySelectorAll("main *")) {
      const box = one.getBoundingClientRect();
      if (box.width > 0 && box.right > width + 1 && !one.closest(".scroll, pre")) say(one.outerHTML.slice(0, 120) + " ends at " + box.right);
    }
    for (const svg of page.querySelectorAll("svg")) {
      const texts = [...svg.querySelectorAll("text")].map(text => [text, text.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
      texts.forEach(([one, a], index) => texts.slice(index + 1).forEach(([other, b]) => {
        const over = Math.min(a.right, b.right) - Math.max(a.left, b.left), deep = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (over > 1 && deep > 3) say(svg.getAttribute("aria-label") + ": " + one.textContent + " over " + other.textContent);
      }));
      for (const kind of ["y", "x"]) {
        const shown = [...svg.querySelectorAll("text." + kind)].filter(text => text.getBoundingClientRect().width > 0);
        const ticks = shown.map(text => text.textContent + "@" + Math.round(kind == "y" ? text.getBoundingClientRect().top : text.getBoundingClientRect().left));
        if (new Set(ticks).size < ticks.length) say(svg.getAttribute("aria-label") + ": a tick twice in " + ticks);
      }
    }
    const hits = [...page.querySelectorAll(".hit")].filter(hit => hit.getBoundingClientRect().width > 0);
    if (hits.length > 0) {
      const over = new frame.contentWindow.PointerEvent("pointermove", { bubbles: true, clientX: width - 30, clientY: 880 });
      hits[hits.length - 1].dispatchEvent(over);
      const tip = page.querySelector(".tip"), box = tip?.getBoundingClientRect();
      if (!tip || tip.hidden || !tip.textContent.includes("/s")) say("nothing is said of a column that is pointed at");
      else if (box.left < 0 || box.right > width || box.top < 0 || box.bottom > 900) say("what is said of a column is not all seen");
    }
  }
  document.body.setAttribute("data-found", JSON.stringify(found.slice(0, 40)));
});
"#;

/// What is wrong with a page at each width.
fn wrong(chromium: &Path, html: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let escaped = html.replace('&', "&amp;").replace('"', "&quot;");
    let frame =
        |width: u32| format!("<iframe style=\"border:0;width:{width}px;height:900px\" srcdoc=\"{escaped}\"></iframe>");
    let frames: String = WIDTHS.into_iter().map(frame).collect();
    let outer = format!("<!doctype html><meta charset=utf-8><script>{LOOK}</script><body>{frames}</body>");
    let page = folder.path().join("frames.html");
    std::fs::write(&page, outer).expect("written");
    let dom = browse(
        chromium,
        folder.path(),
        &format!("file://{}", page.display()),
        &["--dump-dom".to_owned(), "--window-size=1400,1000".to_owned()],
    );
    let found =
        dom.split("data-found=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the page was looked at");
    let found = found.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&found).expect("a list")
}

fn pages_printed(chromium: &Path, html: &str) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, pdf) = (folder.path().join("report.html"), folder.path().join("report.pdf"));
    std::fs::write(&page, html).expect("written");
    browse(
        chromium,
        folder.path(),
        &format!("file://{}", page.display()),
        &["--no-pdf-header-footer".to_owned(), format!("--print-to-pdf={}", pdf.display())],
    );
    let bytes = std::fs::read(&pdf).expect("a PDF");
    let text = String::from_utf8_lossy(&bytes);
    text.matches("/Type /Page").count() - text.matches("/Type /Pages").count()
}

/// A run that has all that a page can show: two clusters of long names, one that scaled, phases, a mix, errors, repetitions.
fn rich() -> RunResult {
    let mut run = run("a-cluster-of-a-name-as-long-as-can");
    let column = |at: u32, seconds: u32| {
        let wave = 40.0 + 30.0 * f64::from(at / seconds % 20);
        Column {
            at,
            seconds,
            requests: wave as u64 * u64::from(seconds),
            errors: u64::from(at / seconds % 7 == 3) * 5,
            demanded: Some(wave),
            p50_ms: Some(wave / 3.0),
            p95_ms: Some(wave * 2.0),
            p99_ms: Some(wave * 20.0),
        }
    };
    run.ended = run.started + jiff::SignedDuration::from_secs(86_400);
    for target in &mut run.targets {
        target.columns = (0..240).map(|number| column(number * 360, 360)).collect();
        target.minutes = (0..1440).map(|number| column(number * 60, 60)).collect();
        let row = |minute: &Column| Second {
            at: minute.at,
            requests: minute.requests,
            errors: minute.errors,
            p50_ms: minute.p50_ms,
            p99_ms: minute.p99_ms,
        };
        target.timeline = target.minutes.iter().map(row).collect();
        target.demanded = Some(8_000_000);
        let endpoint = |name: &str| EndpointResult {
            name: name.into(),
            requests: 1_234_567,
            errors: 89,
            latency_ms: target.latency_ms,
        };
        target.endpoints = ["list", "put-an-object-of-some-size"].map(endpoint).into();
        target.instances = (0..24).map(|number| (format!("i-{number:017x}"), 1_000_000 + number * 12_345)).collect();
        target.retries = 3;
    }
    let cluster = run.targets[0].name.clone();
    let step = |instances: u32| ScalingStep {
        at: 100.0,
        instances,
        rate: 9.5 * f64::from(instances),
        error_percent: Some(0.1),
        held: instances == 20,
    };
    run.scaling = Some(Scaling {
        cluster: cluster.clone(),
        rate: 190.0,
        every: 100.0,
        max: 20,
        held: true,
        steps: (1..=20).map(step).collect(),
    });
    let cloud = run.cloud.as_mut().expect("a cloud");
    cloud.capacity = (0..48_u32)
        .map(|step| CapacityPoint {
            at: f64::from(step) * 1800.0,
            cluster: cluster.clone(),
            desired: 2 + step % 9,
            running: 2 + step % 9,
            healthy: 2 + step % 8,
        })
        .collect();
    let event = cloud.events[0].clone();
    cloud.events = (0..48_u32).map(|step| CloudEvent { at: f64::from(step) * 1800.0, ..event.clone() }).collect();
    run
}

fn pages() -> [(&'static str, String); 4] {
    let images: Images =
        [("metrics/light-requests.png".to_owned(), include_bytes!("../../../docs/spike.png").to_vec())].into();
    let comparison = compare::compare(&rich(), &rich());
    [
        ("the laboratory", render(&run("light"), &images)),
        ("a day", render(&rich(), &images)),
        ("a calibration", calibration::render(&calibration::tests::calibration("a-cluster-of-a-name-as-long-as-can"))),
        ("three runs", compare::page(&[comparison.clone(), comparison])),
    ]
}

#[test]
fn pages_fit_every_screen_and_paper() {
    for (name, html) in pages() {
        assert!(
            html.contains("width=device-width")
                && html.contains("@media print")
                && html.contains("color-scheme: light dark")
        );
        let Some(chromium) = chromium() else {
            eprintln!("{name}: no Chromium here, so nobody looked at it; CHROMIUM names one");
            continue;
        };
        assert_eq!(wrong(&chromium, &html), [""; 0], "{name}");
        let pages = pages_printed(&chromium, &html);
        assert!((1..=PAGES_MAX).contains(&pages), "{name}: {pages} pages");
    }
}

#[test]
fn a_days_run_is_small_and_written_at_once() {
    const BYTES_MAX: u64 = 2 * 1024 * 1024;
    let folder = tempfile::tempdir().expect("a folder");
    let before = crate::clock::thread_cpu();
    let (run, images) = (rich(), Images::new());
    store::write(folder.path(), &run, &images).expect("written");
    let page = render(&run, &images);
    write_page(folder.path(), &page).expect("written");
    // What the pictures of its figures take in an unoptimised build tells nothing.
    let took = crate::clock::thread_cpu().saturating_sub(before);
    write_pictures(folder.path(), &page).expect("written");
    assert!(std::fs::read_dir(folder.path().join("charts")).expect("pictures").count() >= 4);
    let size = |file: &str| folder.path().join(file).metadata().expect(file).len();
    let files = ["result.json", "report.html", "load.csv", "latency.csv", "capacity.csv", "events.csv"];
    let total: u64 = files.iter().map(|file| size(file)).sum();
    assert!(total < BYTES_MAX, "{total} bytes: {:?}", files.map(size));
    assert!(took < std::time::Duration::from_secs(1), "{took:?} of a processor");
}
