//! What a run shows while it goes on: a moving line on a terminal, a line every few seconds elsewhere; and a summary at
//! the end.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use flowquake_reports::units::counted;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::status::Status;

/// Pause between two lines if there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// The speed in records per second is measured over this time.
const SPEED_OVER: Duration = Duration::from_secs(5);

/// What stands before the message: a spinner and the time since the launch.
const TEMPLATE: &str = "{spinner} {elapsed_precise} {msg}";
/// Columns that this takes.
const BEFORE_MESSAGE: usize = 1 + 1 + 8 + 1;
/// Columns of a terminal that does not report its width.
const COLUMNS: usize = 80;

/// The terminal's side of a run.
pub(super) struct Progress {
    began: Instant,
    line_at: Instant,
    bar: Option<ProgressBar>,
    /// Complaints that still hold.
    complaints: BTreeSet<&'static str>,
    /// Number of committed records at several times during the last [`SPEED_OVER`].
    committed: VecDeque<(Instant, u64)>,
}

impl Progress {
    pub(super) fn begin() -> Self {
        let bar = crate::screen::moves().then(|| {
            let style = ProgressStyle::with_template(TEMPLATE).expect("a sound template");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let now = Instant::now();
        Self { began: now, line_at: now, bar, complaints: BTreeSet::new(), committed: VecDeque::from([(now, 0)]) }
    }

    /// Time since the launch.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Prints a line above the moving line.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // The other end of the pipe may be closed; then progress is not wanted.
            None => drop(writeln!(std::io::stderr(), "{:>7.1}s  {line}", self.elapsed().as_secs_f64())),
        }
    }

    /// Prints a complaint about something when it begins to hold, and says so when it no longer holds.
    pub(super) fn complain_once(&mut self, about: &'static str, complaint: Option<String>) {
        match complaint {
            Some(complaint) if self.complaints.insert(about) => self.say(&complaint),
            None if self.complaints.remove(about) => self.say(&format!("{about}: no trouble any more")),
            _ => {}
        }
    }

    /// Shows the state of the run.
    pub(super) fn show(&mut self, status: &Status, committed: u64) {
        let now = Instant::now();
        self.committed.push_back((now, committed));
        while self.committed.len() > 2 && now - self.committed[0].0 > SPEED_OVER {
            self.committed.pop_front();
        }
        let (since, before) = self.committed[0];
        let speed = (committed - before) as f64 / (now - since).as_secs_f64().max(1e-3);
        let line = describe(status, committed, speed as u64, self.bar.as_ref().map_or(usize::MAX, |_| room()));
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if now >= self.line_at => {
                self.line_at = now + LINE_EVERY;
                self.say(&line);
            }
            None => {}
        }
    }

    /// Removes the moving line.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Columns for the message, at the present width of the terminal.
fn room() -> usize {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
    let columns = if columns == 0 { COLUMNS } else { columns };
    columns.saturating_sub(BEFORE_MESSAGE)
}

/// The state of a run in at most `columns` columns, because a line that wraps is not erased when it is drawn again.
fn describe(status: &Status, committed: u64, speed: u64, columns: usize) -> String {
    let Status { state, checkpoints, last_checkpoint, failovers, .. } = status;
    let last = last_checkpoint.map(|took| format!(" (last {} ms)", took.as_millis())).unwrap_or_default();
    let (committed, speed) = (counted(committed as usize, "record"), HumanCount(speed));
    let (failovers, checkpoints) =
        (counted(*failovers as usize, "failover"), counted(*checkpoints as usize, "checkpoint"));
    let forms = [
        format!("{state} · {committed} committed, {speed}/s · {checkpoints}{last} · {failovers}"),
        format!("{state} · {committed} committed, {speed}/s · {checkpoints} · {failovers}"),
        format!("{state} · {committed}, {speed}/s · {checkpoints} · {failovers}"),
        format!("{state} · {committed}, {speed}/s"),
    ];
    match forms.iter().find(|form| form.chars().count() <= columns) {
        Some(form) => form.clone(),
        None => state.chars().take(columns).collect(),
    }
}

/// The result of a run.
pub(super) struct Ended {
    /// Records that it committed.
    pub(super) committed: u64,
    /// Records of the earlier runs that it resumed, as far as their files still exist; `None`: it did not resume a run.
    pub(super) earlier: Option<u64>,
    /// Records of the input, if it read all of them.
    pub(super) input: Option<u64>,
    /// Time since the launch.
    pub(super) took: Duration,
    /// Processor time of all child processes, user and system.
    pub(super) cpu: Option<Duration>,
}

/// The summary of a finished run.
pub(super) fn summary(status: &Status, ended: &Ended, output: &Path) -> String {
    let mut lines = vec![format!("finished in {:.1} s", ended.took.as_secs_f64())];
    lines.push(match ended.earlier {
        None => format!("  committed    {}", counted(ended.committed as usize, "record")),
        Some(earlier) => format!(
            "  committed    {}: {} before, {} by this run, which the numbers below are of",
            counted((earlier + ended.committed) as usize, "record"),
            HumanCount(earlier),
            HumanCount(ended.committed)
        ),
    });
    let last = status.last_checkpoint.map(|took| format!(", last in {} ms", took.as_millis())).unwrap_or_default();
    let aborted = status.aborted;
    lines.push(format!("  checkpoints  {} completed{last}, {aborted} given up", status.checkpoints));
    lines.push(format!("  failovers    {}", status.failovers));
    if let Some(cpu) = ended.cpu {
        let per_second = ended.input.map(|input| {
            let rate = input as f64 / cpu.as_secs_f64().max(1e-3);
            format!(", {} input records per CPU second", HumanCount(rate as u64))
        });
        lines.push(format!("  CPU          {:.1} s{}", cpu.as_secs_f64(), per_second.unwrap_or_default()));
    }
    lines.push(format!("  output       {}", output.display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_it_all() {
        let mut status = Status::default();
        status.state = "running".into();
        (status.checkpoints, status.failovers) = (12, 1);
        status.last_checkpoint = Some(Duration::from_millis(24));
        assert_eq!(
            describe(&status, 24_000, 2_000, usize::MAX),
            "running · 24,000 records committed, 2,000/s · 12 checkpoints (last 24 ms) · 1 failover"
        );
    }

    #[test]
    fn a_line_never_wraps() {
        let mut status = Status::default();
        (status.checkpoints, status.failovers) = (1_234, 56);
        status.last_checkpoint = Some(Duration::from_millis(12_345));
        for state in ["running", "waiting for slots (3 of 16)", "taking the final checkpoint"] {
            status.state = state.into();
            for columns in 0..200 {
                let line = describe(&status, 123_456_789, 1_234_567, columns);
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
            assert!(describe(&status, 123_456_789, 1_234_567, 80 - BEFORE_MESSAGE).starts_with(state));
        }
        status.state = "running".into();
        let line = describe(&status, 24_000, 2_000, 80 - BEFORE_MESSAGE);
        assert_eq!(line, "running · 24,000 records, 2,000/s · 1,234 checkpoints · 56 failovers");
    }

    #[test]
    fn a_resumed_run_counts_what_was_there() {
        let ended = Ended {
            committed: 400,
            earlier: Some(1_000),
            input: None,
            took: Duration::from_secs(2),
            cpu: Some(Duration::from_secs(1)),
        };
        let text = summary(&Status::default(), &ended, Path::new("/out"));
        assert!(text.contains("committed    1,400 records: 1,000 before, 400 by this run"), "{text}");
        let text = summary(&Status::default(), &Ended { earlier: None, ..ended }, Path::new("/out"));
        assert!(text.contains("committed    400 records\n"), "{text}");
    }
}
