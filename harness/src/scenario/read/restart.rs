//! The restart strategy of `[engine]`: `restart_strategy` and the settings that belong to it.
//!
//! Start at [`strategy`]. Keys are spelt like Flink's options; [`RestartStrategy::SETTINGS`] says which strategy obeys
//! which key. A setting that the strategy does not obey is refused, because it would change nothing.

use flowquake_engine::config::{RestartStrategy, Thousandths};
use toml::de::DeValue;

use super::settings::show_duration;
use super::{Reader, Table};
use crate::reader::{Problem, Refusal, value};

/// Path of the strategy in a plan.
const PATH: &str = "job.config.restart_strategy";

/// Path of a setting of `strategy` in a plan.
pub(in crate::scenario) fn path(strategy: &RestartStrategy, setting: &str) -> String {
    match setting {
        "restart_delay" | "restart_attempts" => format!("job.config.{setting}"),
        setting => format!("{PATH}.{}.{setting}", strategy.name()),
    }
}

/// Reads the strategy with its settings; `restart_delay` and `restart_attempts` are read with the rest of `[engine]`.
pub(super) fn strategy(reader: &mut Reader, table: Option<&Table>) -> RestartStrategy {
    let Some(table) = table else { return RestartStrategy::default() };
    let named = reader.read(table, "restart_strategy", PATH, name);
    if named.is_none() && reader.tainted.iter().any(|path| path == PATH) {
        // It is unknown which strategy was meant, so the settings cannot be checked.
        return RestartStrategy::default();
    }
    let mut strategy = named.unwrap_or_default();
    refuse_strangers(reader, table, &strategy);
    let named = strategy.clone();
    macro_rules! read {
        ($settings:ident.$key:ident, $parse:expr, $show:expr) => {{
            let (key, path) = (stringify!($key), path(&named, stringify!($key)));
            $settings.$key = reader.or_default(Some(table), key, &path, $parse, $settings.$key, $show);
        }};
    }
    match &mut strategy {
        RestartStrategy::None | RestartStrategy::FixedDelay => {}
        RestartStrategy::FailureRate(rate) => {
            read!(rate.max_failures_per_interval, value::whole_u32, u32::to_string);
            read!(rate.failure_rate_interval, value::duration, show_duration);
        }
        RestartStrategy::ExponentialDelay(delay) => {
            read!(delay.initial_backoff, value::duration, show_duration);
            read!(delay.max_backoff, value::duration, show_duration);
            read!(delay.backoff_multiplier, value::thousandths, Thousandths::to_string);
            read!(delay.reset_backoff_threshold, value::duration, show_duration);
            read!(delay.jitter_factor, value::thousandths, Thousandths::to_string);
            read!(delay.attempts_before_reset_backoff, value::attempts, show_attempts);
        }
    }
    strategy
}

/// Reports settings that `strategy` does not obey.
fn refuse_strangers(reader: &mut Reader, table: &Table, strategy: &RestartStrategy) {
    for (setting, owners) in RestartStrategy::SETTINGS {
        let Some(value) = table.get(setting).filter(|_| !strategy.obeys(setting)) else { continue };
        let message = format!("`{setting}` changes nothing with restart_strategy = \"{}\"", strategy.name());
        let owners = owners.iter().map(|owner| format!("\"{owner}\"")).collect::<Vec<_>>().join(" or ");
        let help = format!("leave it out, or write restart_strategy = {owners}");
        let at = table.key_span(setting).unwrap_or(value.span());
        let path = format!("job.config.{setting}");
        reader.refuse(&path, Problem::new("other-strategy", message, help).at(at, "belongs to another strategy"));
    }
}

fn name(value: &DeValue) -> Result<RestartStrategy, Refusal> {
    value::word(value, &RestartStrategy::NAMES, RestartStrategy::from_name)
}

pub(super) fn show_attempts(attempts: &Option<u32>) -> String {
    attempts.map_or("unlimited".to_owned(), |n| n.to_string())
}
