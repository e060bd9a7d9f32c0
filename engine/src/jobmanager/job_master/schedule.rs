//! From slots to deployed tasks: which checkpoint to restore, how to fall back behind a damaged one, which TaskManager
//! runs what.

use super::*;

impl JobMaster {
    fn offered(&self) -> u16 {
        self.task_managers.values().map(|tm| tm.slots).fold(0, u16::saturating_add)
    }

    /// Goes on to restore or deploy as soon as there are enough slots.
    pub(super) fn schedule(&mut self, now: Time, out: &mut Vec<Command>) {
        let (needed, offered) = (self.config.parallelism, self.offered());
        if offered < needed {
            let said_at = match self.phase {
                Phase::WaitingForSlots { said_at: Some(at), .. } if now < at + SLOT_REMINDER => Some(at),
                _ => {
                    out.push(Command::Emit(Event::WaitingForSlots { attempt: self.attempt, needed, offered }));
                    Some(now)
                }
            };
            self.phase = Phase::WaitingForSlots { said_at, enough_since: None };
            return;
        }
        if let Phase::WaitingForSlots { enough_since, .. } = &mut self.phase {
            let since = *enough_since.get_or_insert(now);
            if now < since + self.config.slot_stabilization {
                return;
            }
        }
        let (newest, restorable) = (self.coordinator.newest(), self.coordinator.restorable());
        match (newest, restorable) {
            // A previous leader logged that it falls back, and may not have finished. This leader finishes the
            // fallback first.
            (_, to) if self.undecided.is_some() => {
                let from = self.undecided.unwrap_or_default();
                self.phase = Phase::FallingBack { from, to };
                self.on_fallback_logged(out);
            }
            (Some(from), to) if to != newest => {
                self.phase = Phase::FallingBack { from, to };
                self.append(Change::FallingBack(to), now, out);
            }
            (_, Some(id)) => {
                self.phase = Phase::Loading(id);
                out.push(Command::Load(id));
            }
            (_, None) => self.deploy(None, now, out),
        }
    }

    /// The log says that the job falls back, so no later leader restores a newer checkpoint. Now the epochs of the
    /// sinks can be decided.
    pub(super) fn on_fallback_logged(&mut self, out: &mut Vec<Command>) {
        let Phase::FallingBack { from, to } = self.phase else { return };
        let sinks = self.sinks.iter().copied().collect();
        out.push(Command::AbortAbove { restored: to.unwrap_or_default(), highest: from, sinks });
    }

    pub(super) fn on_aborts_decided(&mut self, decided: Aborts, now: Time, out: &mut Vec<Command>) {
        let Phase::FallingBack { from, to } = self.phase else {
            unreachable!("nobody asked for decisions in {:?}", self.phase)
        };
        match decided {
            Ok(Ok(aborted)) => {
                let events = aborted.into_iter().map(|(subtask, epoch)| Event::SinkAborted { epoch, subtask });
                out.extend(events.map(Command::Emit));
                self.undecided = None;
                out.push(Command::Emit(Event::FellBack { from, to }));
                let commands = self.coordinator.on_fell_back();
                self.checkpoints(commands, now, out);
                self.phase = WAITING;
            }
            Ok(Err((subtask, epoch))) => {
                let damage = self.damage.take();
                self.fail(EndCause::CommittedAbove { damage, subtask, epoch }, now, out);
            }
            Err(error) => self.store_failed(StoreFailure::Decisions(error), now, out),
        }
    }

    pub(super) fn on_loaded(
        &mut self,
        id: CheckpointId,
        result: Result<Box<Manifest>, LoadError>,
        now: Time,
        out: &mut Vec<Command>,
    ) {
        assert_eq!(self.phase, Phase::Loading(id), "J1: one manifest is read at a time");
        match result {
            Ok(manifest) if !self.fits(&manifest.job) => {
                self.fail(EndCause::OtherShape(id), now, out);
            }
            Ok(manifest) if self.offered() >= self.config.parallelism => self.deploy(Some(*manifest), now, out),
            Ok(_) => self.phase = WAITING,
            Err(LoadError::Damaged(damaged)) => {
                self.note_damage(id, damaged, out);
                self.phase = WAITING;
            }
            Err(LoadError::OtherVersion(other)) => self.refuse(other, out),
            Err(LoadError::Store(error)) => {
                self.store_failed(StoreFailure::Manifest { checkpoint: id, error }, now, out);
            }
        }
    }

    /// Whether the state of a checkpoint fits the subtasks of this job.
    fn fits(&self, taken: &JobSpec) -> bool {
        let shape = |job: &JobSpec| {
            let config = &job.config;
            (job.program.clone(), config.parallelism, config.max_parallelism, config.backend, job.input.splits)
        };
        shape(taken) == shape(&self.job)
    }

    pub(super) fn note_damage(&mut self, checkpoint: CheckpointId, file: Damaged, out: &mut Vec<Command>) {
        self.coordinator.on_damaged(checkpoint);
        self.damage = Some(CheckpointDamage { checkpoint, file: file.clone() });
        let Damaged { path: file, expected, found } = file;
        out.push(Command::Emit(Event::CheckpointDamaged { checkpoint, file, expected, found }));
    }

    /// Assigns slots to the TaskManagers in turn, and subtasks to the slots: index `i` of every vertex shares slot
    /// `i`.
    fn deploy(&mut self, manifest: Option<Manifest>, now: Time, out: &mut Vec<Command>) {
        let attempt = self.attempt;
        self.deployed_at = now;
        let checkpoint = manifest.as_ref().map(|manifest| manifest.checkpoint);
        self.restored = checkpoint;
        let state_bytes = manifest.as_ref().map_or(0, Manifest::state_bytes);
        let mut slots = Vec::new();
        for round in 0..self.config.parallelism {
            slots.extend(self.task_managers.iter().filter(|(_, tm)| tm.slots > round).map(|(node, _)| node.clone()));
        }
        let place = |id: &SubtaskId| (*id, slots[usize::from(id.index)].clone());
        self.placement = self.subtasks.iter().map(place).collect();
        let data: BTreeMap<_, _> =
            self.task_managers.iter().map(|(node, tm)| (node.clone(), tm.data.clone())).collect();
        out.push(Command::Emit(Event::DeploymentBegun { attempt, restored: checkpoint, state_bytes }));
        let mut states = manifest.map(|manifest| manifest.subtasks).unwrap_or_default();
        let mut deployments: BTreeMap<NodeName, Deployment> = BTreeMap::new();
        for (subtask, node) in &self.placement {
            let deployment = deployments.entry(node.clone()).or_insert_with(|| Deployment {
                attempt,
                job: self.job.clone(),
                start: self.start,
                checkpoint,
                subtasks: BTreeMap::new(),
                placement: self.placement.clone(),
                data: data.clone(),
            });
            deployment.subtasks.insert(*subtask, states.remove(subtask).unwrap_or_default());
        }
        out.extend(
            deployments.into_iter().map(|(node, deployment)| Command::Send(node, Order::Deploy(Box::new(deployment)))),
        );
        self.phase = Phase::Starting(self.subtasks.iter().copied().collect());
    }
}
