//! What a run shows while it goes on: a line that moves on a terminal, a line every few seconds elsewhere; then a summary.

use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::status::Status;

/// Pause between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// Records per second are those of the last few seconds.
const SPEED_OVER: Duration = Duration::from_secs(5);

/// The terminal's side of a run.
pub(super) struct Progress {
    began: Instant,
    line_at: Instant,
    bar: Option<ProgressBar>,
    /// Committed records at moments of the last [`SPEED_OVER`].
    committed: VecDeque<(Instant, u64)>,
}

impl Progress {
    pub(super) fn begin() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}").expect("a sound template");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let now = Instant::now();
        Self { began: now, line_at: now, bar, committed: VecDeque::from([(now, 0)]) }
    }

    /// Since the launch.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Prints a line above what moves.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            // Whoever closed the other end of the pipe wants no progress.
            None => drop(writeln!(std::io::stderr(), "{:>7.1}s  {line}", self.elapsed().as_secs_f64())),
        }
    }

    /// Shows where the run stands.
    pub(super) fn show(&mut self, status: &Status, committed: u64) {
        let now = Instant::now();
        self.committed.push_back((now, committed));
        while self.committed.len() > 2 && now - self.committed[0].0 > SPEED_OVER {
            self.committed.pop_front();
        }
        let (since, before) = self.committed[0];
        let speed = (committed - before) as f64 / (now - since).as_secs_f64().max(1e-3);
        let line = describe(status, committed, speed as u64);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            None if now >= self.line_at => {
                self.line_at = now + LINE_EVERY;
                self.say(&line);
            }
            None => {}
        }
    }

    /// Removes what moves.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn describe(status: &Status, committed: u64, speed: u64) -> String {
    let Status { state, checkpoints, last_checkpoint, failovers, .. } = status;
    let last = last_checkpoint.map(|took| format!(" (last {} ms)", took.as_millis())).unwrap_or_default();
    let (committed, speed) = (HumanCount(committed), HumanCount(speed));
    let failovers = plural(*failovers, "failover");
    format!(
        "{state} · {committed} records committed, {speed}/s · {}{last} · {failovers}",
        plural(*checkpoints, "checkpoint")
    )
}

fn plural(count: u64, what: &str) -> String {
    format!("{} {what}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// The last words of a finished run. `cpu` is that of all child processes, user and system.
pub(super) fn summary(
    status: &Status,
    committed: u64,
    input: Option<u64>,
    took: Duration,
    cpu: Duration,
    output: &Path,
) -> String {
    let mut lines = vec![format!("finished in {:.1} s", took.as_secs_f64())];
    lines.push(format!("  committed    {} records", HumanCount(committed)));
    let last = status.last_checkpoint.map(|took| format!(", last in {} ms", took.as_millis())).unwrap_or_default();
    let aborted = status.aborted;
    lines.push(format!("  checkpoints  {} completed{last}, {aborted} given up", status.checkpoints));
    lines.push(format!("  failovers    {}", status.failovers));
    let per_second = input.map(|input| {
        let rate = input as f64 / cpu.as_secs_f64().max(1e-3);
        format!(", {} input records per CPU second", HumanCount(rate as u64))
    });
    lines.push(format!("  CPU          {:.1} s{}", cpu.as_secs_f64(), per_second.unwrap_or_default()));
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
            describe(&status, 24_000, 2_000),
            "running · 24,000 records committed, 2,000/s · 12 checkpoints (last 24 ms) · 1 failover"
        );
    }
}
