//! The access of planted bugs to a job master. Compiled only under the feature `mutations` and used by
//! `engine/src/jobmanager/planted.rs`.

use super::*;

impl JobMaster {
    pub(in crate::jobmanager) fn checkpoints_of(&mut self) -> &mut Coordinator {
        &mut self.coordinator
    }
}
