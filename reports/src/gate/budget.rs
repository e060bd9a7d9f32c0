//! By how much a percentile may become slower before the gate fails. The team states that as a share of what was
//! measured.
//!
//! Start at [`Budgets`]. Each percentile has its own budget. Virtual time is exact, but a change of the engine that
//! sends one more message shifts all draws of latencies after it, and the slowest of forty checkpoints changes more
//! than their median.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::times::Lapse;
use crate::percentile::Percentile;

/// A share in hundredths of a percent: `2%` is 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Budget(u32);

/// A budget that was refused; the text says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no budget: write a share such as `2%` or `0.5%`, at most 1000%")]
pub struct NoBudget(String);

impl Budget {
    /// The budget where none is stated: 2 %.
    pub const DEFAULT: Budget = Budget(200);

    /// Not even a nanosecond slower.
    pub const NONE: Budget = Budget(0);

    /// Whether `now` is longer than `before` by more than this share. A time that never ended is longer than any that
    /// did.
    pub fn is_exceeded(self, before: Lapse, now: Lapse) -> bool {
        match (before, now) {
            (Lapse::Over(_), _) => false,
            (Lapse::Ns(_), Lapse::Over(_)) => true,
            (Lapse::Ns(before), Lapse::Ns(now)) => {
                u128::from(now) * 10_000 > u128::from(before) * (10_000 + u128::from(self.0))
            }
        }
    }
}

impl FromStr for Budget {
    type Err = NoBudget;

    fn from_str(text: &str) -> Result<Budget, NoBudget> {
        let no = || NoBudget(text.to_owned());
        let number = text.trim().strip_suffix('%').ok_or_else(no)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 2 {
            return Err(no());
        }
        let hundredths = format!("{whole}{fraction:0<2}").parse::<u32>().map_err(|_| no())?;
        if hundredths > 100_000 { Err(no()) } else { Ok(Budget(hundredths)) }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            rest if rest % 10 == 0 => write!(f, "{whole}.{}%", rest / 10),
            rest => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

impl TryFrom<String> for Budget {
    type Error = NoBudget;

    fn try_from(text: String) -> Result<Budget, NoBudget> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> String {
        budget.to_string()
    }
}

/// One budget per percentile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// Budget of the median.
    pub p50: Budget,
    /// Budget of the time that nine in ten do not exceed.
    pub p90: Budget,
    /// Budget of the time that 99 in a hundred do not exceed.
    pub p99: Budget,
    /// Budget of the longest time.
    pub max: Budget,
}

impl Budgets {
    /// The same budget for every percentile.
    pub fn all(budget: Budget) -> Budgets {
        Budgets { p50: budget, p90: budget, p99: budget, max: budget }
    }

    /// The budget of one percentile.
    pub fn of(&self, which: Percentile) -> Budget {
        match which {
            Percentile::P50 => self.p50,
            Percentile::P90 => self.p90,
            Percentile::P99 => self.p99,
            Percentile::Max => self.max,
        }
    }

    /// These budgets, changed by what `text` states: `2%` for all of them, or `p50=2%,max=15%` for some.
    pub fn stated(self, text: &str) -> Result<Budgets, NoBudget> {
        if !text.contains('=') {
            return text.parse().map(Budgets::all);
        }
        let mut budgets = self;
        for part in text.split(',') {
            let (name, budget) = part.split_once('=').ok_or_else(|| NoBudget(part.to_owned()))?;
            let which = Percentile::named(name.trim()).ok_or_else(|| NoBudget(part.to_owned()))?;
            *budgets.of_mut(which) = budget.parse()?;
        }
        Ok(budgets)
    }

    fn of_mut(&mut self, which: Percentile) -> &mut Budget {
        match which {
            Percentile::P50 => &mut self.p50,
            Percentile::P90 => &mut self.p90,
            Percentile::P99 => &mut self.p99,
            Percentile::Max => &mut self.max,
        }
    }
}

impl fmt::Display for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Budgets::all(self.p50) {
            return write!(f, "{}", self.p50);
        }
        let parts = Percentile::ALL.map(|which| format!("{} {}", which.label(), self.of(which)));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_budget_is_a_share_in_percent() {
        for (text, shown) in
            [("2%", "2%"), ("0.5 %", "0.5%"), ("2.50%", "2.5%"), ("0.05%", "0.05%"), ("1000%", "1000%")]
        {
            assert_eq!(text.parse::<Budget>().unwrap().to_string(), shown);
        }
        for wrong in ["", "2", "%", "-1%", "2.%", ".5%", "1e2%", "1000.01%", "2.005%", "99999%", "two%"] {
            let refused = wrong.parse::<Budget>().unwrap_err().to_string();
            assert!(refused.contains(&format!("`{wrong}`")) && refused.contains("`2%`"), "{refused}");
        }
    }

    #[test]
    fn some_budgets_can_be_stated_and_the_others_stay() {
        let budgets = Budgets::all(Budget::DEFAULT);
        let stated = budgets.stated("p90=5%, max=15%").unwrap();
        assert_eq!(stated.to_string(), "p50 2%, p90 5%, p99 2%, max 15%");
        assert_eq!(stated.stated("1%").unwrap().to_string(), "1%");
        assert!(budgets.stated("p95=5%").unwrap_err().to_string().contains("`p95=5%`"));
    }

    #[test]
    fn the_border_belongs_to_the_budget() {
        let budget = Budget::DEFAULT;
        assert!(!budget.is_exceeded(Lapse::Ns(100), Lapse::Ns(102)));
        assert!(budget.is_exceeded(Lapse::Ns(100), Lapse::Ns(103)));
        assert!(budget.is_exceeded(Lapse::Ns(u64::MAX / 2), Lapse::Ns(u64::MAX)));
        assert!(budget.is_exceeded(Lapse::Ns(u64::MAX), Lapse::Over(1)));
        assert!(!budget.is_exceeded(Lapse::Over(1), Lapse::Over(2)));
        assert!(budget.is_exceeded(Lapse::Ns(0), Lapse::Ns(1)), "of nothing, any share is nothing");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(hundredths in 0u32..=100_000) {
            prop_assert_eq!(Budget(hundredths).to_string().parse(), Ok(Budget(hundredths)));
        }
    }
}
