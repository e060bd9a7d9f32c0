//! The engine's log lines. Each has virtual time, node and (in the event) attempt; real time would only be confusing.

use clap::ValueEnum;
use flowquake_reports::ansi::Color;
use tracing_subscriber::filter::LevelFilter;

/// How much the engine says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
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

impl Level {
    /// The filter for `tracing`.
    pub(crate) fn filter(self) -> String {
        let filter = match self {
            Level::Off => return "off".to_owned(),
            Level::Trace => return "trace".to_owned(),
            Level::Error => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Debug => LevelFilter::DEBUG,
        };
        format!("off,flowquake={filter},flowquake_engine={filter}")
    }
}

/// Sends log lines to standard error.
pub(crate) fn start(level: Level) {
    if level == Level::Off {
        return;
    }
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level.filter()))
        .without_time()
        .with_ansi(super::screen::errors_color() == Color::Yes)
        .log_internal_errors(false)
        .with_target(false)
        .with_writer(std::io::stderr);
    // Only a second call could fail, and there is none.
    let _ = subscriber.try_init();
}
