//! A job's input as files: each split's records with the time of their arrival, for the sources of a twin.
//!
//! The records are those of the plan's generator or file, so the generator exists once, and one reference judges every target.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flowquake_engine::graph::JobSpec;
use flowquake_engine::graph::source::ArrivalSchedule;
use flowquake_engine::time::Time;

/// Writes the records of a job, one file a split: microseconds after the start, a space, the record.
pub(super) fn write(folder: &Path, spec: &JobSpec, records: u64, record: &dyn Fn(u64) -> String) -> io::Result<()> {
    let splits = u64::from(spec.input.splits);
    let schedule = ArrivalSchedule { start: Time::ZERO, period_fs: spec.input.period_fs };
    for split in 0..splits {
        let mut file = BufWriter::new(File::create(folder.join(format!("split-{split}")))?);
        let mut index = split;
        while index < records {
            writeln!(file, "{} {}", schedule.arrival(index).0 / 1_000, record(index))?;
            index += splits;
        }
        file.flush()?;
    }
    Ok(())
}
