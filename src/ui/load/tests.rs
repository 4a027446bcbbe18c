//! What the terminal shows of a load, cell by cell.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;

use super::state::LoadView;
use super::*;
use crate::resource::event::Progress;

fn shown(view: &LoadView, width: u16, height: u16) -> String {
    let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width, height });
    draw::draw(&mut buffer, view);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn view() -> LoadView {
    let mut view = LoadView::new(false);
    view.update(&Event::BenchStarted {
        scenario: "spike".into(),
        targets: vec!["web".into(), "api".into()],
        requests: 1000,
    });
    for second in 0..30_u32 {
        let progress = Progress {
            done: u64::from(second) * 10,
            planned: 1000,
            errors: u64::from(second / 10),
            rate: f64::from(second) * 4.0,
            p50_ms: Some(12.5),
            p99_ms: Some(1240.0),
            phase: "climb".into(),
            demand: Some(120.0),
            elapsed_s: f64::from(second),
            left_s: Some(f64::from(90 - second)),
            next: Some("400/s in 2 min 10 s".into()),
        };
        view.update(&Event::BenchProgress { target: "web".into(), progress });
    }
    view.update(&Event::Capacity { cluster: "web".into(), desired: 6, running: 5, healthy: 4 });
    let what = "Launching a new EC2 instance: i-0123456789abcdef0".to_owned();
    view.update(&Event::Scaled { cluster: "web".into(), what, cause: String::new() });
    view
}

#[test]
fn a_load_is_seen_at_a_glance() {
    let text = shown(&view(), 80, 20);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "spike · 29 s · 1 min 1 s left");
    let words = |line: usize| lines[line].split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(2), ["CLUSTER", "DEMAND", "RATE", "P50", "P99", "ERRORS", "HEALTHY", "DONE"]);
    assert_eq!(
        words(3),
        ["web", "120/s", "116/s", "12.5", "ms", "1,240", "ms", "0.7", "%", "4/6", "29", "%"],
        "{text}"
    );
    assert_eq!(words(4), ["api", "–", "0.00/s", "–", "–", "–", "–", "0"], "nothing is measured yet");
    assert_eq!(lines[6], "climb · next: 400/s in 2 min 10 s");
    assert!(lines[8].starts_with("   200/s") && lines[8..].iter().any(|line| line.ends_with('█')), "{text}");
    assert!(text.contains("web: Launching a new EC2 instance: i-0123456789abcdef0"), "{text}");
    assert_eq!(lines[19], "[+/-] rate by 10 %  [p] pause  [q] end now, and report");
}

#[test]
fn a_change_by_hand_is_said_and_names_cannot_play_with_the_terminal() {
    let mut view = view();
    (view.percent, view.paused) = (120, true);
    view.update(&Event::Note { text: "x\u{1b}[1A\u{202e}".into() });
    let text = shown(&view, 80, 20);
    assert!(text.starts_with("spike · 29 s · 1 min 1 s left · rate 120 % · PAUSED"), "{text}");
    assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text}");
    assert!(shown(&view, 60, 20).starts_with("the view needs 80 columns"));
}

#[test]
fn keys_change_the_rate_pause_and_end() {
    let (control, cancel) = (Control::default(), CancellationToken::new());
    for key in ['+', '+', '-', 'p'] {
        pressed(Key::Char(key), &control, &cancel);
    }
    assert_eq!((control.percent(), control.is_paused(), cancel.is_cancelled()), (110, true, false));
    pressed(Key::Char('q'), &control, &cancel);
    assert!(cancel.is_cancelled());
}
