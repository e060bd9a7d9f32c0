//! Damage to files on a node's own disk: those of its state backend.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::super::SimWorld;
use crate::fault::FileDamage;

impl SimWorld {
    /// Damages a file of the state backend on a node's local disk: a file with entries (`*.sst`) if there is any,
    /// otherwise one that lists such files. `pick`, modulo their number, selects one in the order of their paths.
    /// Returns the file and what was done; `None` if there is nothing to damage.
    pub fn damage_local(&self, name: &str, pick: u64, damage: FileDamage) -> Option<String> {
        let folder = {
            let state = self.lock();
            let node = &state.nodes[state.index_of(name)?];
            state.config.local_root.join(format!("{name}.{}", node.disk))
        };
        damage_below(&folder, pick, damage).map(|done| format!("{name}: {done}"))
    }
}

/// Damages a file of the state backend below a folder, as [`SimWorld::damage_local`] chooses it. Returns which file and what was done.
pub fn damage_below(folder: &Path, pick: u64, damage: FileDamage) -> Option<String> {
    let mut files = Vec::new();
    collect(folder, &mut files).ok()?;
    if files.iter().any(|file| is_table(file)) {
        files.retain(|file| is_table(file));
    }
    files.sort();
    let file = files.get(usize::try_from(pick % (files.len().max(1) as u64)).ok()?)?;
    let short = file.file_name()?.to_string_lossy().into_owned();
    let done = hurt(file, damage).ok()??;
    Some(format!("{short}: {done}"))
}

fn is_table(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "sst")
}

/// Every file below `folder` that holds state or lists files of state.
fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, into)?;
        } else if name != "LOCK" && !name.starts_with("LOG") && std::fs::metadata(&path)?.len() > 0 {
            into.push(path);
        }
    }
    Ok(())
}

/// Damages the file in place, so that open handles and other hard links see the damage.
fn hurt(file: &Path, damage: FileDamage) -> std::io::Result<Option<String>> {
    let length = std::fs::metadata(file)?.len();
    if length == 0 {
        return Ok(None);
    }
    match damage {
        FileDamage::Delete => {
            std::fs::remove_file(file)?;
            Ok(Some("deleted".into()))
        }
        FileDamage::Truncate => {
            std::fs::OpenOptions::new().write(true).open(file)?.set_len(length / 2)?;
            Ok(Some(format!("cut from {length} to {} bytes", length / 2)))
        }
        FileDamage::FlipByte(fraction) => {
            let at = ((u128::from(fraction) * u128::from(length)) >> 64) as u64;
            let mut open = std::fs::OpenOptions::new().read(true).write(true).open(file)?;
            let mut byte = [0];
            open.seek(SeekFrom::Start(at))?;
            open.read_exact(&mut byte)?;
            byte[0] ^= 0x55;
            open.seek(SeekFrom::Start(at))?;
            open.write_all(&byte)?;
            Ok(Some(format!("byte {at} of {length} flipped")))
        }
    }
}
