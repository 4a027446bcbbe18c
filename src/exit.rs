//! Every exit code of the program.

/// What the process tells its caller. The numbers are part of the public interface: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Ok = 0,
    /// Something failed; the problem says what and what to do.
    Failed = 1,
    /// The command line or the stack file is wrong; nothing was called.
    Usage = 2,
    /// `diff --exit-code` found changes.
    Changes = 3,
    /// A threshold of the benchmark was missed.
    Threshold = 4,
    /// Another run holds the stack's lock.
    Locked = 5,
    /// Ctrl-C; the calls in flight were finished, and the next `up` or `down` continues.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}
