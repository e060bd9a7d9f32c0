//! What planted bugs reach of a job master. Exists only under the feature `mutations`; who uses it is
//! `engine/src/jobmanager/planted.rs`.

use super::*;

impl JobMaster {
    pub(in crate::jobmanager) fn checkpoints_of(&mut self) -> &mut Coordinator {
        &mut self.coordinator
    }
}
