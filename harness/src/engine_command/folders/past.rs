//! Checks the earlier results that a resumed run needs: they must belong to this job, and be written by this release of
//! the engine.
//!
//! Start at [`check`]. It only reads. Damage is left to the engine, which knows what it can fall back to.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::Path;

use flowquake_engine::checkpoint::manifest::{DecodeError, Manifest, OtherVersion, checkpoint_of_folder};
use flowquake_engine::graph::{InputKind, JobSpec};
use flowquake_engine::ha::entry::HaEntry;
use flowquake_engine::ha::position::{self, Position};

use super::{Options, Refused, names, unreadable};

/// Refuses to resume from folders that are not those of this job.
pub(super) fn check(options: &Options) -> Result<(), Refused> {
    let folder = &options.checkpoints;
    let shown = folder.display();
    let remedy = "name the folder of the run to go on with, or leave --resume out to begin a new one";
    if !folder.exists() {
        return Err(Refused::new(format!("--resume: --checkpoint-dir {shown} does not exist"), remedy));
    }
    let names = names(folder, "--checkpoint-dir")?;
    if names.is_empty() {
        return Err(Refused::new(format!("--resume: --checkpoint-dir {shown} is empty"), remedy));
    }
    if !names.iter().any(|name| name == position::FOLDER) {
        let what = format!("--resume: --checkpoint-dir {shown} holds no run of a job");
        return Err(Refused::new(what, remedy));
    }
    refuse_newer_log(folder)?;
    let Some(manifest) = newest_manifest(folder, &names)? else {
        // The run was killed before its first checkpoint: nothing is committed, and the engine starts from the
        // beginning.
        return Ok(());
    };
    if let Some((what, taken, given)) = difference(&manifest.job, &options.job) {
        let id = manifest.checkpoint;
        let what = format!("--resume: checkpoint {id} in {shown} was taken with {what} {taken}, not {given}");
        return Err(Refused::new(what, format!("give {taken} again, or name new folders and leave --resume out")));
    }
    if !options.output.is_dir() {
        let what = format!(
            "--resume: --output {} does not exist, but checkpoints in {shown} committed into it",
            options.output.display()
        );
        return Err(Refused::new(what, "name the output folder of the run to go on with"));
    }
    Ok(())
}

/// Refuses a leadership log whose newest complete entry was written by another release of the engine.
fn refuse_newer_log(folder: &Path) -> Result<(), Refused> {
    let log = folder.join(position::FOLDER);
    // If this is not a folder, that is left to the engine, like all damage.
    let names = if log.is_dir() { names(&log, "--checkpoint-dir")? } else { Vec::new() };
    // Earlier releases named their entries differently, so those names come first.
    let mut paths: Vec<_> = names.iter().map(|name| format!("{}/{name}", position::FOLDER)).collect();
    paths.sort_by_key(|path| Reverse((Position::at(path).is_none(), Position::at(path))));
    for path in paths {
        let path = folder.join(path);
        let bytes = fs::read(&path).map_err(|error| unreadable("--checkpoint-dir", &path, &error))?;
        match HaEntry::decode(&bytes, &path.display().to_string()) {
            Ok(_) => return Ok(()),
            Err(DecodeError::OtherVersion(other)) => return Err(of_other_version(&other)),
            Err(DecodeError::Damaged(_)) => {}
        }
    }
    Ok(())
}

fn of_other_version(other: &OtherVersion) -> Refused {
    let OtherVersion { path, kind, found, reads } = other;
    Refused::new(
        format!("--resume: {path} is {kind} of format version {found}, but this engine reads version {reads}"),
        format!("go on with a release that reads version {found}; nothing was changed"),
    )
}

/// The newest manifest that can be read. Damage is left to the engine, which knows whether it can fall back.
fn newest_manifest(folder: &Path, names: &[String]) -> Result<Option<Manifest>, Refused> {
    let mut checkpoints: Vec<_> = names.iter().filter(|name| checkpoint_of_folder(name).is_some()).collect();
    checkpoints.sort();
    for name in checkpoints.into_iter().rev() {
        let path = folder.join(name).join("_metadata");
        match fs::read(&path) {
            Ok(bytes) => match Manifest::decode(&bytes, &path.display().to_string()) {
                Ok(manifest) => return Ok(Some(manifest)),
                Err(DecodeError::OtherVersion(other)) => return Err(of_other_version(&other)),
                Err(DecodeError::Damaged(_)) => {}
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable("--checkpoint-dir", &path, &error)),
        }
    }
    Ok(None)
}

/// The first difference between two jobs because of which one cannot use the state of the other.
fn difference(taken: &JobSpec, given: &JobSpec) -> Option<(&'static str, String, String)> {
    let params = |job: &JobSpec| match job.params.is_empty() {
        true => "none".to_owned(),
        false => job.params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "),
    };
    let input = |job: &JobSpec| match &job.input.kind {
        InputKind::File { path, repeat: 1 } => path.clone(),
        InputKind::File { path, repeat } => format!("{path} {repeat} times"),
        InputKind::Generator { name, records, seed } => format!("{records} {name} of seed {seed}"),
    };
    let compared = |job: &JobSpec| {
        [
            ("the job", job.program.clone()),
            ("parallelism", job.config.parallelism.to_string()),
            ("max-parallelism", job.config.max_parallelism.to_string()),
            ("backend", job.config.backend.name().to_owned()),
            ("the input", input(job)),
            ("splits", job.input.splits.to_string()),
            ("parameters", params(job)),
        ]
    };
    let pairs = compared(taken).into_iter().zip(compared(given));
    pairs.map(|((what, taken), (_, given))| (what, taken, given)).find(|(_, taken, given)| taken != given)
}
