//! The `flowquake` program: the command line of the library, with the jobs that ship with it.

use std::process::ExitCode;

/// A simulated run makes many small things that live shortly: with this allocator it takes a tenth less (`benches/README.md`). The
/// library leaves the choice to the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    flowquake::main(&flowquake::jobs::Jobs::builtin())
}
