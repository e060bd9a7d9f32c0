//! `flowquake completions` and `flowquake man`: shell completions and manual pages, both made from the command line's
//! definition.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use super::print::{self, say};
use super::refuse_text;

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(super) struct ManArgs {
    /// Folder for the pages; made if it is missing
    #[arg(long, value_name = "DIR", default_value = "target/flowquake/man")]
    out: PathBuf,
}

/// Prints the completion script of `command`, under the name that it was started by.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command, name: &str) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print::text(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Writes a page for `command` and for each of its verbs.
pub(super) fn man(args: &ManArgs, command: Command) -> ExitCode {
    let written = std::fs::create_dir_all(&args.out).and_then(|()| clap_mangen::generate_to(command, &args.out));
    match written {
        Ok(()) => {
            say!("written to {}", args.out.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            refuse_text(&format!("--out {}: {error}", args.out.display()), "name a folder that can be written")
        }
    }
}
