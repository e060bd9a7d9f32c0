//! Standard output, and the only way there: it may be full or read by nobody any more, and neither is a panic.
//!
//! Start at [`text`] and `say!`; `tell!` is for standard error. The first error is kept until the command is done ([`settle`]), so that it still
//! writes its files. Who reads only the first lines has seen enough: that is no error.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use flowquake_reports::ansi::safe;

use super::refuse_text;
use crate::exit_guard;

/// Why nothing more is printed.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line: `say!("{n} runs")`.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::print::line(format_args!($($text)*)) };
}
pub(super) use say;

/// Says a line on standard error: `tell!("{n} runs")`.
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::print::tell_line(format_args!($($text)*)) };
}
pub(super) use tell;

/// Prints `text`, without what would steer a terminal.
pub(super) fn text(text: &str) {
    let text = &*safe(text);
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        *failed = put(&mut io::stdout().lock(), text).err();
    }
}

/// Prints a line; see `say!`.
pub(super) fn line(line: Arguments<'_>) {
    text(&format!("{line}\n"));
}

/// Says a line on standard error; see `tell!`. If nobody reads there any more (`2>&1 | head`) or it is full, the command goes
/// on: it still writes the files it was asked for, and ends with the code of what it found.
pub(super) fn tell_line(line: Arguments<'_>) {
    let line = format!("{line}\n");
    let _ = put(&mut io::stderr().lock(), &safe(&line));
}

fn put(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The exit code of a command that ends with `code`: another one if something could not be printed.
pub(super) fn settle(code: ExitCode) -> ExitCode {
    match FAILED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            refuse_text(&format!("standard output: {error}"), "print to where there is room")
        }
        _ => code,
    }
}

/// What prints in other ways, such as on standard error, ends the program without a word of panic: with the exit code
/// of a broken pipe if nobody reads, else with that of a file that cannot be written.
pub(super) fn end_quietly() {
    const BROKEN_PIPE: i32 = 128 + 13;
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let what = panic.payload_as_str().unwrap_or_default();
        if !what.starts_with("failed printing to std") {
            return say(panic);
        }
        if what.contains("Broken pipe") {
            exit_guard::exit(BROKEN_PIPE);
        }
        // Perhaps there is room on the other stream; if not, there is nobody to tell.
        let _ = writeln!(io::stderr(), "error: {what}\n  help: print to where there is room");
        exit_guard::exit(super::BAD_INPUT.into());
    }));
}
