//! Standard output, and the only way to write to it. It may be full, or nobody may read it any more; neither must cause
//! a panic.
//!
//! Start at [`text`] and `say!`; `tell!` is for standard error. The first error is kept until the command is done
//! ([`settle`]), so that the command still writes its files. If the reader closes the pipe after the first lines, that
//! is not an error.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use flowquake_reports::ansi::safe;

use super::refuse_text;
use crate::exit_guard;

/// Why nothing more can be printed.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line: `say!("{n} runs")`.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::print::line(format_args!($($text)*)) };
}
pub(super) use say;

/// Prints a line on standard error: `tell!("{n} runs")`.
macro_rules! tell {
    ($($text:tt)*) => { $crate::cli::print::tell_line(format_args!($($text)*)) };
}
pub(super) use tell;

/// Prints `text`, without what would control a terminal.
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

/// Prints a line on standard error; see `tell!`. If nobody reads it any more (`2>&1 | head`) or it is full, the command
/// goes on: it still writes the files that it was asked for, and ends with the exit code of its result.
pub(super) fn tell_line(line: Arguments<'_>) {
    let line = format!("{line}\n");
    let _ = put(&mut io::stderr().lock(), &safe(&line));
}

fn put(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The exit code of a command that ends with `code`; another code if something could not be printed.
pub(super) fn settle(code: ExitCode) -> ExitCode {
    match FAILED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            refuse_text(&format!("standard output: {error}"), "print to where there is room")
        }
        _ => code,
    }
}

/// If printing fails elsewhere, such as on standard error, ends the program without a panic message: with the exit code
/// of a broken pipe if nobody reads, otherwise with that of a file that cannot be written.
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
        // The other stream may still work; if not, the error cannot be reported.
        let _ = writeln!(io::stderr(), "error: {what}\n  help: print to where there is room");
        exit_guard::exit(super::BAD_INPUT.into());
    }));
}
