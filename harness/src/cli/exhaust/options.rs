//! The values of the options of `flowquake exhaust`, and the errors for values that are refused.

use std::path::PathBuf;
use std::time::Duration;

use crate::provenance::quoted;
use crate::search::cover::Strength;
use crate::search::cut::Cut;
use crate::search::proof::Share;
use crate::units;

/// When a search ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Budget {
    Runs(u64),
    Time(Duration),
}

/// How deep recoveries are struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// The recovery from a first fault.
    Once,
    /// Also the recovery from a kill in such a recovery.
    Twice,
}

impl Recovery {
    /// The value of the option as it is written.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Once => " --recovery",
            Self::Twice => " --recovery=twice",
        }
    }
}

pub(super) fn recovery(text: &str) -> Result<Recovery, String> {
    match text {
        "once" => Ok(Recovery::Once),
        "twice" => Ok(Recovery::Twice),
        _ => Err("write once or twice".into()),
    }
}

/// Which pairs of faults a search strikes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pairs {
    /// One first strike for each way in which the strikes of this file went, and with it every second strike up to the
    /// first commit after it.
    Lineage(PathBuf),
    /// A covering array over kinds and phases.
    Cover(Strength),
}

impl Pairs {
    /// The value as it is written.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Lineage(file) => quoted(&file.to_string_lossy()),
            Self::Cover(Strength::Three) => "cover".into(),
            Self::Cover(Strength::Four) => "cover-all".into(),
        }
    }
}

pub(super) fn pairs(text: &str) -> Result<Pairs, String> {
    match text {
        "" => Err("write cover, cover-all, or the name of a file".into()),
        "cover" => Ok(Pairs::Cover(Strength::Three)),
        "cover-all" => Ok(Pairs::Cover(Strength::Four)),
        file => Ok(Pairs::Lineage(file.into())),
    }
}

pub(super) fn budget(text: &str) -> Result<Budget, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("no run would be made".into()),
        Ok(runs) => Ok(Budget::Runs(runs)),
        Err(_) => {
            units::duration(text).map(Budget::Time).map_err(|error| format!("{}; {}", error.reason, error.remedy))
        }
    }
}

pub(super) fn share(text: &str) -> Result<Share, String> {
    if text == "all" {
        return Ok(Share::All);
    }
    match text.trim_end_matches('%').parse::<u8>() {
        Ok(0) => Ok(Share::None),
        Ok(100) => Ok(Share::All),
        Ok(percent @ 1..100) => Ok(Share::Percent(percent)),
        _ => Err("write 0% to 100%, or leave the value out for all".into()),
    }
}

pub(super) fn cut(text: &str) -> Result<Cut, String> {
    let names: Vec<&str> = Cut::ALL.iter().map(|cut| cut.name()).collect();
    Cut::from_name(text).ok_or_else(|| format!("there is no such cut; there are {}", names.join(", ")))
}

pub(super) fn shard(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((k, n)) if 1 <= k && k <= n => Ok((k, n)),
        _ => Err("write which part of how many, counted from 1: 1/4 to 4/4".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_say_what_they_take() {
        assert_eq!(
            (budget("5000"), budget("10min")),
            (Ok(Budget::Runs(5000)), Ok(Budget::Time(Duration::from_secs(600))))
        );
        assert!(budget("0").is_err() && budget("soon").is_err());
        assert_eq!(
            (share("all"), share("5%"), share("0"), share("100%")),
            (Ok(Share::All), Ok(Share::Percent(5)), Ok(Share::None), Ok(Share::All))
        );
        assert!(share("101%").is_err());
        assert_eq!(shard("2/4"), Ok((2, 4)));
        assert!(shard("0/4").is_err() && shard("5/4").is_err() && shard("1").is_err());
        assert_eq!(pairs("cover"), Ok(Pairs::Cover(Strength::Three)));
        assert_eq!(pairs("./cover"), Ok(Pairs::Lineage("./cover".into())));
        for text in ["cover", "cover-all", "singles.json"] {
            assert_eq!(pairs(text).unwrap().text(), text);
        }
        assert!(pairs("").is_err());
        assert_eq!((recovery("once"), recovery("twice")), (Ok(Recovery::Once), Ok(Recovery::Twice)));
        assert!(recovery("thrice").is_err());
        assert_eq!(cut("next-step"), Ok(Cut::NextStep));
        assert!(cut("next").unwrap_err().contains("steady-epochs"));
    }
}
