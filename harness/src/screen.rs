//! What a terminal can show: colours, its width, and moving lines.
//!
//! Start at [`screen`] and [`color_of`]. `--color` decides; without it `NO_COLOR`, then `CLICOLOR_FORCE`, then whether
//! the output is a terminal. Variables with an empty value count as unset.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Instant;

use clap::ValueEnum;
use flowquake_reports::ansi::{Color, Screen};

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// Where a person looks, unless `NO_COLOR` is set or `TERM` is dumb; everywhere if `CLICOLOR_FORCE` is set
    #[default]
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

/// Whether the locale, if there is one, has characters beyond ASCII.
pub(crate) fn speaks_unicode() -> bool {
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
    is_unicode(named.into_iter().find(|locale| !locale.is_empty()).as_deref())
}

/// Recognises `C.UTF-8`, `de_DE.utf8`. Without a locale, output is assumed to be read as UTF-8.
fn is_unicode(locale: Option<&str>) -> bool {
    locale.is_none_or(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

static WHEN: OnceLock<ColorWhen> = OnceLock::new();

/// Sets what the command line says. Called once, before anything is printed.
pub(crate) fn settle_color(when: ColorWhen) {
    // Only a second command line could cause a second call, and there is none.
    let _ = WHEN.set(when);
    let painted = colors_on(std::io::stderr().is_terminal()) == Color::Yes;
    // Setting the hook fails only if there is one already, and there is none.
    let _ = miette::set_hook(Box::new(move |_| Box::new(miette::MietteHandlerOpts::new().color(painted).build())));
}

/// The value of `--color` among these words, for code that needs it before they are parsed.
pub(crate) fn asked(words: impl Iterator<Item = OsString>) -> ColorWhen {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let value = words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--color") {
        Some("") => words.get(at + 1).map(String::as_str),
        Some(rest) => rest.strip_prefix('='),
        None => None,
    });
    value.and_then(|value| ColorWhen::from_str(value, true).ok()).unwrap_or_default()
}

impl From<ColorWhen> for clap::ColorChoice {
    fn from(when: ColorWhen) -> Self {
        match when {
            ColorWhen::Auto => Self::Auto,
            ColorWhen::Always => Self::Always,
            ColorWhen::Never => Self::Never,
        }
    }
}

/// The screen of standard output.
pub(crate) fn screen() -> Screen {
    Screen { color: colors_on(std::io::stdout().is_terminal()), width: columns().unwrap_or(usize::MAX) }
}

/// Whether standard error shows colours.
pub(crate) fn errors_color() -> Color {
    colors_on(std::io::stderr().is_terminal())
}

/// Whether bars and counters may move on standard error, which needs a terminal that can overwrite a line.
pub(crate) fn moves() -> bool {
    std::io::stderr().is_terminal() && !is_dumb(variable("TERM").as_deref())
}

/// The real time, for progress displays.
#[allow(clippy::disallowed_methods, reason = "progress is shown in real time; nothing in a run sees it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Columns of the terminal; `None`: standard output is not a terminal.
pub(crate) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(if size.ws_col == 0 { 80 } else { size.ws_col.into() })
}

fn colors_on(terminal: bool) -> Color {
    let when = WHEN.get().copied().unwrap_or_default();
    color_of(when, terminal, variable)
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

fn is_dumb(term: Option<&str>) -> bool {
    term == Some("dumb")
}

fn color_of(when: ColorWhen, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Color {
    let forced = || variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let wanted = match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if variable("NO_COLOR").is_some() => false,
        ColorWhen::Auto => forced() || (terminal && !is_dumb(variable("TERM").as_deref())),
    };
    if wanted { Color::Yes } else { Color::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_where_they_are_wanted() {
        let decide = |when, terminal, set: &[(&str, &str)]| {
            let found = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            color_of(when, terminal, |name| found(name).filter(|value| !value.is_empty())) == Color::Yes
        };
        use ColorWhen::{Always, Auto, Never};
        assert!(decide(Auto, true, &[]) && !decide(Auto, false, &[]));
        assert!(!decide(Auto, true, &[("NO_COLOR", "1")]));
        assert!(decide(Auto, true, &[("NO_COLOR", "")]), "set to nothing is not set");
        assert!(!decide(Auto, true, &[("TERM", "dumb")]) && decide(Auto, true, &[("TERM", "xterm")]));
        assert!(decide(Auto, false, &[("CLICOLOR_FORCE", "1")]) && !decide(Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!decide(Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(decide(Always, false, &[("NO_COLOR", "1")]) && !decide(Never, true, &[("CLICOLOR_FORCE", "1")]));
    }

    #[test]
    fn the_option_is_known_before_the_command_line_is_parsed() {
        let of = |line: &str| asked(line.split(' ').map(OsString::from));
        assert_eq!(of("flowquake run --color never x"), ColorWhen::Never);
        assert_eq!(of("flowquake --color=always run x"), ColorWhen::Always);
        assert_eq!(
            [of("flowquake run x"), of("flowquake --color"), of("flowquake --colors=never")],
            [ColorWhen::Auto; 3]
        );
    }

    #[test]
    fn a_locale_says_whether_there_is_more_than_ascii() {
        assert!(is_unicode(None) && is_unicode(Some("C.UTF-8")) && is_unicode(Some("de_DE.utf8")));
        assert!(!is_unicode(Some("C")) && !is_unicode(Some("en_US.ISO-8859-1")));
    }
}
