//! The engine's log lines. Each carries virtual time, node and (in the event) attempt; real time would only confuse.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;

/// How much the engine says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Nothing.
    #[default]
    Off,
    /// What cannot be helped.
    Error,
    /// What is odd.
    Warn,
    /// What is worth knowing.
    Info,
    /// Every event of the protocol.
    Debug,
    /// Everything, the executor's own lines included.
    Trace,
}

/// Sends log lines to standard error.
pub(super) fn start(level: Level) {
    let filter = match level {
        Level::Off => return,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let targets = match level {
        Level::Trace => "trace".to_owned(),
        _ => format!("off,flowquake={filter},flowquake_engine={filter}"),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(targets))
        .without_time()
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(std::io::stderr);
    // Only a second call could fail, and there is none.
    let _ = subscriber.try_init();
}
