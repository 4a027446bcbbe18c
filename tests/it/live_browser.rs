//! The dashboard in headless Chromium while a load runs: what it shows is laid out within a phone's and a desktop's screen.
//!
//! Where there is no Chromium (`CHROMIUM` names one) the story says so; what the page is made of is told in `live_page.rs`.

use std::path::Path;
use std::process::Stdio;

use super::chromium::{browse, chromium};
use super::local_region::eventually;
use super::rehearsal::{GROUPS, Rehearsal};
use super::views::Going;

const WIDTHS: [u32; 2] = [400, 1280];
const CSS: &str = include_str!("../../src/ui/dashboard/page/page.css");

/// Puts what lies outside of a frame's screen into an attribute of the outer page's body.
const LOOK: &str = r##"
addEventListener("load", () => {
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, width = frame.clientWidth;
    if (page.documentElement.scrollWidth > width) found.push(width + " px: scrolls sideways to " + page.documentElement.scrollWidth);
    if (page.querySelectorAll("#bands svg").length == 0) found.push(width + " px: no chart");
  }
  document.body.setAttribute("data-found", found.join("; "));
});
"##;

/// The page as its scripts have made it.
fn dom(chromium: &Path, folder: &Path, url: &str) -> String {
    let arguments = ["--window-size=1400,1000", "--timeout=3000", "--dump-dom"].map(str::to_owned);
    browse(chromium, folder, url, &arguments)
}

/// A figure of the first cluster.
fn figure<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    page.split_once(&format!("<dt>{name}</dt><dd>"))?.1.split('<').next()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_what_a_load_does_while_it_runs() {
    let Some(chromium) = chromium() else {
        eprintln!("no Chromium here, so nobody looked at the dashboard; CHROMIUM names one");
        return;
    };
    let stack =
        Rehearsal::edited(GROUPS, &[("name: scaling-group\n", "name: scaling-group\nlocal: {speed: 20}\n")]).up();
    let dashboard = Going::of(&stack, &["dashboard"]);
    let url = dashboard.next("its address");
    let target = format!("{}/cluster1", stack.url());
    let mut load = stack.region.command(&["bench", "--quiet", "--url", &target, "--rate", "30/s", "-d", "2m"]);
    let mut load = load.current_dir(stack.folder()).stdout(Stdio::null()).spawn().expect("the binary runs");
    let page = eventually("the load on the page", || async {
        let page = dom(&chromium, stack.folder(), &url);
        let rate = figure(&page, "rate")?.trim_end_matches("/s").parse::<f64>().ok()?;
        // Charts are drawn a frame after the figures are written.
        let drawn = page.contains("<polyline");
        (drawn && rate > 20.0 && figure(&page, "p99")?.ends_with("ms")).then_some(page)
    })
    .await;
    load.kill().and_then(|()| load.wait()).expect("it ends");
    assert_eq!((figure(&page, "healthy"), figure(&page, "errors")), (Some("2/2"), Some("0 %")));
    assert!(page.contains("created → 0 to 2") && !page.contains("NaN") && !page.contains("loading …"), "{page}");

    // The same without its scripts, as wide as a phone and as a desktop.
    let (head, rest) = page.split_once("<link rel=\"stylesheet\" href=\"page.css\">").expect("its style");
    let body = rest.split("<script").next().expect("a body");
    let escaped = format!("{head}<style>{CSS}</style>{body}").replace('&', "&amp;").replace('"', "&quot;");
    let frame =
        |width: u32| format!("<iframe style=\"border:0;width:{width}px;height:900px\" srcdoc=\"{escaped}\"></iframe>");
    let frames: String = WIDTHS.into_iter().map(frame).collect();
    let outer = format!("<!doctype html><meta charset=utf-8><script>{LOOK}</script><body>{frames}</body>");
    let path = stack.file("frames.html", &outer);
    let looked = dom(&chromium, stack.folder(), &format!("file://{}", path.display()));
    assert!(looked.contains("data-found=\"\""), "{:?}", looked.split("data-found=").nth(1).map(|found| &found[..200]));
    assert_eq!(dashboard.interrupted(), Some(130));
}
