//! The `flowquake` program: the command line of the library, with the jobs that ship with it.

use std::process::ExitCode;

/// A simulated run makes many small allocations that live only briefly; with this allocator a run takes a tenth less
/// time (`benches/README.md`). The library leaves the choice of the allocator to the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    flowquake::main(&flowquake::jobs::Jobs::builtin())
}
