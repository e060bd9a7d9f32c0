//! The `flowquake` program: the command line of the library, with the jobs that ship with it.

use std::process::ExitCode;

fn main() -> ExitCode {
    flowquake::main(&flowquake::jobs::Jobs::builtin())
}
