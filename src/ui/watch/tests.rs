//! The screen at 80 × 24 and 120 × 40, as cells.

use std::time::{Duration, Instant};

use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::style::Color;
use ratatui_core::terminal::Terminal;

use super::draw::draw;
use super::state::{Effect, Key, Page, State};
use crate::observe::act::Action;
use crate::observe::sample;

fn state() -> (State, Instant) {
    let (mut state, now) = (State::new(true, false), crate::clock::instant());
    state.update(sample::view(), now);
    (state, now)
}

fn cells(state: &State, now: Instant, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal of cells");
    terminal.draw(|frame| draw(frame.buffer_mut(), state, now)).expect("it takes all");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content().chunks(buffer.area.width.into());
    let lines =
        rows.map(|row| row.iter().map(ratatui_core::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn screen(state: &State, now: Instant, size: (u16, u16)) -> String {
    text(&cells(state, now, size))
}

#[test]
fn the_overview_at_80_by_24() {
    let (state, now) = state();
    insta::assert_snapshot!(screen(&state, now, (80, 24)), @"
    shop · local ×60 · 27 Nov 09:42:00 UTC                      2 alarms, 1 in ALARM
      CLUSTER     DESIRED IN SERVICE HEALTHY     RATE      P50      P99 ERRORS   CPU
    1 web               6       4 +2     4/6    412/s  38.2 ms   1.24 s  0.4 %  71 %
    2 api               2          2     2/2      0/s        –        –      – 0.4 %

    high · cpu                      80 > 50      60 % beyond   ███    3 of 3 ALARM
    low  · cpu                      80 < 35      129 % to go   ░░░░░░ 0 of 15
         500                                  ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂
       req/s                                  ██████████████████████████████████████
                                              ██████████████████████████████████████
           0  ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃██████████████████████████████████████
           6                                                                      ░░
    capacity                                         ░░░░░██████████████████████████
              ██████████████████████████████████████████████████████████████████████
               08:50        09:00        09:10        09:20       09:30        09:40
    09:18:00  web      ▲ alarm high: 71, 76, 80 > 50 → 2 to 4; in service after 65 s
    09:33:00  web      ✕ i-0a19… ended outside the group; replaced after 62 s
    09:39:00  api      ! i-0b19… unhealthy: ?[2JHealth checks failed with these cod…
    09:41:00  web      ▲ alarm high: 71, 76, 80 > 50 → 4 to 6




    [1-9] cluster [+/-] scale [k]ill one [e]vents [a]larms [space] pause [q]uit
    ");
}

#[test]
fn the_overview_at_120_by_40() {
    let (state, now) = state();
    insta::assert_snapshot!(screen(&state, now, (120, 40)), @"
    shop · local ×60 · 27 Nov 09:42:00 UTC                                                              2 alarms, 1 in ALARM
      CLUSTER     DESIRED IN SERVICE HEALTHY     RATE      P50      P99 ERRORS   CPU
    1 web               6       4 +2     4/6    412/s  38.2 ms   1.24 s  0.4 %  71 %  ▂▂▂▂▂▂▂▂▂▂▂▂▂▂████████████████
    2 api               2          2     2/2      0/s        –        –      – 0.4 %

    high · cpu                      80 > 50      60 % beyond   ███    3 of 3 ALARM
    low  · cpu                      80 < 35      129 % to go   ░░░░░░ 0 of 15
         500
       req/s                                                    ▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅
                                                                ████████████████████████████████████████████████████████████
                                                                ████████████████████████████████████████████████████████████
                                                                ████████████████████████████████████████████████████████████
                                                                ████████████████████████████████████████████████████████████
                                                                ████████████████████████████████████████████████████████████
           0  ▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆████████████████████████████████████████████████████████████
           6                                                                                                              ░░
    capacity                                                                                                              ░░
                                                                            ░░░░░░░░████████████████████████████████████████
                                                                            ░░░░░░░░████████████████████████████████████████
              ██████████████████████████████████████████████████████████████████████████████████████████████████████████████
              ██████████████████████████████████████████████████████████████████████████████████████████████████████████████
                  08:50     08:55     09:00     09:05     09:10     09:15     09:20     09:25     09:30     09:35     09:40
    09:18:00  web      ▲ alarm high: 71, 76, 80 > 50 → 2 to 4; in service after 65 s
    09:33:00  web      ✕ i-0a19… ended outside the group; replaced after 62 s
    09:39:00  api      ! i-0b19… unhealthy: ?[2JHealth checks failed with these codes: [502]
    09:41:00  web      ▲ alarm high: 71, 76, 80 > 50 → 4 to 6













    [1-9] cluster  [+/-] scale  [k] kill one  [e] events  [a] alarms  [space] pause  [q] quit
    ");
}

#[test]
fn a_small_terminal_is_told_what_it_takes() {
    let (state, now) = state();
    assert_eq!(
        screen(&state, now, (60, 10)).lines().next(),
        Some("watch needs 80 columns and 24 lines; here are 60 and 10")
    );
}

#[test]
fn the_pages_of_events_and_alarms_open_and_close_by_the_same_key() {
    let (mut state, now) = state();
    assert_eq!(state.key(Key::Char('e'), now), Effect::Nothing);
    let events = screen(&state, now, (80, 24));
    assert!(events.contains("09:18:00  web") && !events.contains("DESIRED"), "{events}");
    assert!(events.contains("unhealthy: ?[2JHealth"), "others' words cannot play with the terminal: {events}");
    state.key(Key::Char('a'), now);
    let alarms = screen(&state, now, (80, 24));
    assert!(alarms.contains("web · high · cpu") && alarms.contains("0 of 15"), "{alarms}");
    state.key(Key::Char('a'), now);
    assert_eq!(state.page, Page::Overview);
}

#[test]
fn nothing_is_done_without_a_yes() {
    let (mut state, now) = state();
    state.key(Key::Char('+'), now);
    assert!(screen(&state, now, (80, 24)).ends_with("Scale web from 6 to 7? [y/n]"));
    assert_eq!(state.key(Key::Char('n'), now), Effect::Nothing);
    assert_eq!(state.key(Key::Char('y'), now), Effect::Nothing, "it asks again");
    state.key(Key::Char('k'), now);
    let kill = Action::Kill { cluster: "web".into(), instance: "i-0a190000000000001".into(), is_fixed: false };
    assert_eq!(state.key(Key::Char('y'), now), Effect::Do(kill));

    state.key(Key::Char('2'), now);
    state.key(Key::Char('-'), now);
    assert_eq!(state.asked, None, "fixed instances are not scaled");
    assert!(state.notice(now).is_some_and(|notice| notice.contains("api has fixed instances")));
    assert_eq!(state.notice(now + Duration::from_secs(6)), None, "what is said stays for a while");
    state.key(Key::Char('7'), now);
    assert_eq!(state.selected, 1, "there is no seventh cluster");
    assert_eq!([state.key(Key::Interrupt, now), state.key(Key::Char('q'), now)], [Effect::Quit, Effect::Quit]);
}

#[test]
fn a_pause_holds_what_is_shown_and_what_changed_is_marked_for_two_seconds() {
    let (mut state, now) = state();
    let mut later = sample::view();
    later.clusters[0].capacity.desired = 7;
    state.key(Key::Char(' '), now);
    state.update(later.clone(), now);
    assert_eq!(state.cluster().map(|cluster| cluster.capacity.desired), Some(6));
    state.key(Key::Char(' '), now);
    state.update(later, now);
    assert_eq!(state.cluster().map(|cluster| cluster.capacity.desired), Some(7));
    assert!(state.is_fresh("web", 0, now) && !state.is_fresh("web", 1, now));
    assert!(!state.is_fresh("web", 0, now + Duration::from_secs(3)));
}

#[test]
fn red_is_for_errors_and_breaches_and_no_colour_means_none() {
    let (mut state, now) = state();
    let colors = |buffer: &Buffer| buffer.content().iter().map(|cell| cell.fg).collect::<Vec<_>>();
    assert!(colors(&cells(&state, now, (80, 24))).contains(&Color::Red));
    state.color = false;
    assert!(colors(&cells(&state, now, (80, 24))).iter().all(|color| *color == Color::Reset));
}
