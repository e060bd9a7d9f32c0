//! Damage to files: of checkpoints in the store, and of the state backend on a local disk.

use bytes::Bytes;
use flowquake_engine::checkpoint::manifest::{checkpoint_at, folder, path};
use flowquake_engine::env::sim::Gauge;
use flowquake_engine::env::{draw, draw_between};
use flowquake_engine::fault::FileDamage;
use flowquake_engine::ids::CheckpointId;

use super::{Blow, Cluster, Harm, Nemesis};
use crate::faults::CHECKPOINT_STORE;
use crate::plan::{DamageKind, FileKind, FileTarget};

impl Nemesis {
    /// Damages a file of a checkpoint.
    pub(super) fn damage(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        file: &FileTarget,
        how: DamageKind,
    ) -> Result<(), String> {
        let checkpoint = file.checkpoint.map(CheckpointId).or(self.newest_completed);
        let checkpoint = checkpoint.ok_or("no checkpoint was complete")?;
        let target = match file.kind {
            FileKind::Manifest => path(checkpoint),
            FileKind::State => state_files(world, checkpoint)
                .into_iter()
                .nth(file.index as usize)
                .ok_or_else(|| format!("checkpoint {checkpoint} has no state file {}", file.index))?,
        };
        let bytes = world.read_checkpoint_file(&target).ok_or_else(|| format!("{target} does not exist"))?;
        let length = bytes.len();
        let (contents, detail) = match how {
            DamageKind::Delete => (None, "deleted".to_owned()),
            DamageKind::Swap => return self.swap(world, blow, checkpoint, file.kind, target, bytes),
            // Nothing can be cut from or flipped in a file without bytes; to call that a strike would be a lie.
            _ if length == 0 => return Err(format!("{target} is empty")),
            DamageKind::Truncate => {
                (Some(bytes.slice(..length / 2)), format!("cut from {length} to {} bytes", length / 2))
            }
            DamageKind::FlipByte => {
                let drawn = draw(self.seed, "damage", self.faults[blow.fault].id.into(), blow.number.into());
                let at = draw_between(drawn, 0, length as u64 - 1);
                let mut bytes = bytes.to_vec();
                bytes[at as usize] ^= 0x55;
                (Some(Bytes::from(bytes)), format!("byte {at} of {length} flipped"))
            }
        };
        self.damage_file(world, blow, &target, contents);
        self.over_at_once(blow, CHECKPOINT_STORE, target, detail);
        Ok(())
    }

    fn damage_file(&mut self, world: &dyn Cluster, blow: &Blow, path: &str, contents: Option<Bytes>) {
        self.claim(world, blow.fault, None, Gauge::Damaged(path.into()), Harm::DamagedFilesMet);
        world.damage_checkpoint_file(path, contents);
    }

    /// The file changes places with another one of its kind and checkpoint, else with one of another checkpoint. One with equal
    /// contents would not do.
    fn swap(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        checkpoint: CheckpointId,
        kind: FileKind,
        target: String,
        bytes: Bytes,
    ) -> Result<(), String> {
        let all = world.checkpoint_files("");
        let of_kind = |file: &String| match kind {
            FileKind::Manifest => checkpoint_at(file).is_some(),
            FileKind::State => file.starts_with("chk-") && checkpoint_at(file).is_none(),
        };
        let here = format!("{}/", folder(checkpoint));
        let (near, far): (Vec<String>, Vec<String>) =
            all.into_iter().filter(of_kind).partition(|file| file.starts_with(&here));
        let differs = |file: String| {
            let contents = world.read_checkpoint_file(&file)?;
            (file != target && contents != bytes).then_some((file, contents))
        };
        let other = near.into_iter().chain(far).find_map(differs);
        let (other, contents) = other.ok_or_else(|| format!("{target} has no counterpart to change places with"))?;
        self.damage_file(world, blow, &target, Some(contents));
        self.damage_file(world, blow, &other, Some(bytes));
        self.over_at_once(blow, CHECKPOINT_STORE, target.clone(), format!("changed places with {other}"));
        self.over_at_once(blow, CHECKPOINT_STORE, other, format!("changed places with {target}"));
        Ok(())
    }

    /// Damages a file that the state backend holds on a node's own disk.
    pub(super) fn damage_local(
        &mut self,
        world: &dyn Cluster,
        blow: &Blow,
        node: String,
        how: DamageKind,
    ) -> Result<(), String> {
        let id = u64::from(self.faults[blow.fault].id);
        let drawn = |purpose| draw(self.seed, purpose, id, blow.number.into());
        let damage = match how {
            DamageKind::FlipByte => FileDamage::FlipByte(drawn("nemesis local byte")),
            DamageKind::Truncate => FileDamage::Truncate,
            DamageKind::Delete => FileDamage::Delete,
            DamageKind::Swap => return Err("local files cannot be swapped".into()),
        };
        let done = world.damage_local(&node, drawn("nemesis local file"), damage);
        let detail = done.ok_or_else(|| format!("{node} has no files of the state backend"))?;
        let role = self.cast.role(&node);
        self.over_at_once(blow, role, node, detail);
        self.harmed(blow.fault, Harm::LocalFilesDamaged, 1);
        Ok(())
    }
}

/// State files of a checkpoint, by path.
fn state_files(world: &dyn Cluster, checkpoint: CheckpointId) -> Vec<String> {
    let mut files = world.checkpoint_files(&folder(checkpoint));
    files.retain(|name| checkpoint_at(name).is_none());
    files
}
