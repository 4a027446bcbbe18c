//! The terminal: raw and on its alternate screen while it is watched, as before afterwards, whatever ends the program.

use std::io::{self, Read as _, Stdout, Write as _};
use std::time::Instant;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color as Shown, Print, SetAttribute, SetBackgroundColor, SetForegroundColor};
use crossterm::terminal::{self, Clear, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{execute, queue};
use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;
use tokio::sync::mpsc;

use super::draw::draw;
use super::keys::keys;
use super::state::{Key, State};

/// Keys that wait to be understood; more are not read until then.
const KEYS_MAX: usize = 64;
/// The longest sequence that a key sends, many times over.
const READ_BYTES: usize = 256;

/// The terminal while it is ours.
pub struct Screen {
    terminal: Terminal<Cells>,
}

impl Screen {
    /// Takes the terminal, and reads its keys.
    ///
    /// # Errors
    /// Where it is none, or refuses.
    pub fn open() -> io::Result<(Self, mpsc::Receiver<Key>)> {
        restore_on_panic();
        enable_raw_mode()?;
        // From here on whatever fails gives the terminal back.
        let opened =
            execute!(io::stdout(), EnterAlternateScreen, Hide).and_then(|()| Terminal::new(Cells(io::stdout())));
        let terminal = opened.inspect_err(|_| restore())?;
        let (send, receive) = mpsc::channel(KEYS_MAX);
        // It ends with the process: nobody can wake it while no key comes.
        std::thread::spawn(move || read(&send));
        Ok((Self { terminal }, receive))
    }

    /// # Errors
    /// Where the terminal is gone.
    pub fn draw(&mut self, state: &State, now: Instant) -> io::Result<()> {
        self.draw_with(|buffer| draw(buffer, state, now))
    }

    /// # Errors
    /// Where the terminal is gone.
    pub fn draw_with(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.terminal.draw(|frame| draw(frame.buffer_mut())).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Where a step fails there is no terminal to give back.
fn restore() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), SetAttribute(Attribute::Reset), LeaveAlternateScreen, Show);
}

/// What a panic says is to be seen, so the terminal is given back before.
fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}

fn read(send: &mpsc::Sender<Key>) {
    let mut bytes = [0; READ_BYTES];
    loop {
        let length = match io::stdin().lock().read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        for key in keys(&bytes[..length]) {
            if send.blocking_send(key).is_err() {
                return;
            }
        }
    }
}

/// Cells → what a terminal understands.
struct Cells(Stdout);

impl Backend for Cells {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut next = None;
        let mut worn = None;
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                queue!(self.0, MoveTo(x, y))?;
            }
            let style = (cell.fg, cell.bg, cell.modifier);
            if worn != Some(style) {
                queue!(self.0, SetAttribute(Attribute::Reset), SetForegroundColor(shown(cell.fg)))?;
                queue!(self.0, SetBackgroundColor(shown(cell.bg)))?;
                for (modifier, attribute) in ATTRIBUTES {
                    if cell.modifier.contains(modifier) {
                        queue!(self.0, SetAttribute(attribute))?;
                    }
                }
                worn = Some(style);
            }
            queue!(self.0, Print(cell.symbol()))?;
            // A wide character leaves the cursor elsewhere.
            next = (console::measure_text_width(cell.symbol()) == 1).then_some((x + 1, y));
        }
        queue!(self.0, SetAttribute(Attribute::Reset))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        execute!(self.0, Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        execute!(self.0, Show)
    }

    /// Nobody writes but we, and we leave the cursor nowhere in particular.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        execute!(self.0, MoveTo(x, y))
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        let region = match region {
            ClearType::All => terminal::ClearType::All,
            ClearType::AfterCursor => terminal::ClearType::FromCursorDown,
            ClearType::BeforeCursor => terminal::ClearType::FromCursorUp,
            ClearType::CurrentLine => terminal::ClearType::CurrentLine,
            ClearType::UntilNewLine => terminal::ClearType::UntilNewLine,
        };
        execute!(self.0, Clear(region))
    }

    fn size(&self) -> io::Result<Size> {
        terminal::size().map(Size::from)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

const ATTRIBUTES: [(Modifier, Attribute); 4] = [
    (Modifier::BOLD, Attribute::Bold),
    (Modifier::DIM, Attribute::Dim),
    (Modifier::UNDERLINED, Attribute::Underlined),
    (Modifier::REVERSED, Attribute::Reverse),
];

/// The colours that views use; the terminal's own palette decides how they look.
fn shown(color: Color) -> Shown {
    match color {
        Color::Red => Shown::DarkRed,
        Color::Green => Shown::DarkGreen,
        Color::Yellow => Shown::DarkYellow,
        Color::Blue => Shown::DarkBlue,
        Color::Magenta => Shown::DarkMagenta,
        Color::Cyan => Shown::DarkCyan,
        _ => Shown::Reset,
    }
}
