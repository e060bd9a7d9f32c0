//! `flowquake state show`: reads the keyed state of a checkpoint from its manifest and the files beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::{Args, Subcommand};
use flowquake_engine::checkpoint::manifest::Manifest;
use flowquake_engine::env::{InputFiles, Lines};
use flowquake_engine::graph::InputKind;
use flowquake_engine::ids::SubtaskId;
use flowquake_engine::state::Entry;
use flowquake_reports::bounded;
use flowquake_reports::table::{Align, Cell, Table};
use flowquake_reports::units::counted;

use super::print::{self, say};
use super::{refuse_text, screen};
use crate::jobs::Jobs;
use crate::state_reader;

/// Longest manifest in bytes: one with state inside, of the memory backend.
const MANIFEST_MAX: u64 = 1 << 30;

#[derive(Args)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Subcommand)]
enum StateCommand {
    /// Print the keyed state of a checkpoint
    Show {
        /// The checkpoint's manifest: `chk-N/_metadata` in its checkpoint folder
        manifest: PathBuf,
        /// Only this key
        #[arg(long)]
        key: Option<String>,
    },
}

pub(super) fn state(args: &StateArgs, jobs: &Jobs) -> ExitCode {
    let StateCommand::Show { manifest, key } = &args.command;
    match show(manifest, key.as_deref(), jobs) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => refuse_text(&problem, "name the `_metadata` file of a complete checkpoint, in its folder"),
    }
}

/// Returns whether anything was shown: a key that was asked for may be absent.
fn show(path: &Path, key: Option<&str>, jobs: &Jobs) -> Result<bool, String> {
    let bytes = bounded::bytes(path, MANIFEST_MAX).map_err(|error| format!("{}: {error}", path.display()))?;
    let manifest = Manifest::decode(&bytes, &path.to_string_lossy()).map_err(|error| error.to_string())?;
    // Paths in a manifest are relative to the checkpoint folder, two levels above it.
    let root = path.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let file = |name: &str| std::fs::read(root.join(name)).ok().map(Bytes::from);
    let (mut entries, mut keys) = (Vec::new(), BTreeSet::new());
    let mut keep = |subtask: SubtaskId, Entry { state, group, key: of, value }: Entry<'_>| {
        let of = format!("{of:?}");
        // A text key may be given without the quotes with which it is shown.
        let wanted = key.is_none_or(|key| key == of || format!("{key:?}") == of);
        if key.is_some() && !wanted {
            keys.insert(of.clone());
        }
        if wanted {
            entries.push((subtask, group, state.to_owned(), of, format!("{value:?}")));
        }
    };
    let inputs = InputFiles::default();
    if let InputKind::File { path, .. } = &manifest.job.input.kind {
        // State needs no input, and a manifest may name any file, so the file is not opened.
        let nothing = Lines::parse(b"\n".to_vec(), Path::new(path)).expect("one empty line");
        inputs.insert(path.clone(), Arc::new(nothing));
    }
    state_reader::for_each(&manifest, jobs, &inputs, file, &mut keep).map_err(|error| error.to_string())?;
    entries.sort();
    say!(
        "checkpoint {} of {}, {}, {}, backend {}",
        manifest.checkpoint,
        manifest.job.program,
        manifest.attempt,
        counted(manifest.subtasks.len(), "subtask"),
        manifest.job.config.backend.name()
    );
    for (subtask, state) in &manifest.subtasks {
        for position in &state.positions {
            say!("  subtask {subtask}: {} at record {}", position.split, position.emitted);
        }
    }
    if let Some(key) = key.filter(|_| entries.is_empty()) {
        let few: Vec<&str> = keys.iter().take(3).map(String::as_str).collect();
        let such = if few.is_empty() { String::new() } else { format!(", such as {}", few.join(", ")) };
        say!("no state has the key {key}: there are {} keys{such}", keys.len());
        return Ok(false);
    }
    let columns = [
        ("subtask", Align::Left),
        ("state", Align::Left),
        ("group", Align::Right),
        ("key", Align::Left),
        ("value", Align::Left),
    ];
    let mut table = Table::new(columns);
    for (subtask, group, state, key, value) in &entries {
        table.row([&subtask.to_string(), state, &group.to_string(), key, value].map(Cell::new));
    }
    print::text(&table.text(0, screen()));
    Ok(true)
}
