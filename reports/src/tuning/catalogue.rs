//! The formulas that choose an interval, as a table with equation, assumptions and source.
//!
//! The names are those of [`Choice::formula`](super::analysis::Choice); a test keeps the two equal. In a picture,
//! colours of text cannot distinguish that many formulas, so each has a number.

/// A formula that gives an interval.
pub(super) struct Formula {
    /// The name, as in [`Choice::formula`](super::analysis::Choice).
    pub(super) name: &'static str,
    /// The equation; all times are in seconds.
    pub(super) equation: &'static str,
    /// What it leaves out or assumes.
    pub(super) presumes: &'static str,
    /// Source of the formula.
    pub(super) source: &'static str,
}

/// What the letters in the equations mean.
pub(super) const SYMBOLS: &str = "c: work lost per checkpoint, d: its duration, M: mean time between failures, D: outage, A: age of the \
    snapshot, λ, μ, ρ = λ/μ: input, capacity, load, w: weight of late output, P: minimum pause";

impl Formula {
    /// The equation, and the equations of the quantities in it, each separately. In the text they are separated by
    /// commas.
    pub(super) fn parts(&self) -> Vec<String> {
        let mut parts: Vec<String> = Vec::new();
        for part in self.equation.split(", ") {
            match parts.last_mut() {
                // A part with a comma but without an equals sign is not another equation.
                Some(last) if !part.contains(" = ") => *last = format!("{last}, {part}"),
                _ => parts.push(part.to_owned()),
            }
        }
        parts
    }
}

/// All formulas, in the order in which the analysis lists them.
pub(super) const FORMULAS: [Formula; 9] = [
    Formula {
        name: "article: d + P",
        equation: "T = d + P",
        presumes: "knows neither failures nor load",
        source: "the planning rule of Flink tuning articles",
    },
    Formula { name: "Young", equation: "T = √(2cM)", presumes: "lost work alone; c ≪ M", source: "Young 1974" },
    Formula {
        name: "Daly, first order",
        equation: "T = √(2c(M + D))",
        presumes: "Young, and restarts take time",
        source: "Daly 2006",
    },
    Formula {
        name: "Daly, higher order",
        equation: "T = √(2cM)·[1 + ⅓√(c/2M) + ⅑(c/2M)]",
        presumes: "the exact form, as a series",
        source: "Daly 2006",
    },
    Formula {
        name: "exact (Lambert W)",
        equation: "T = M(1 + c/M + W₀(−e^(−c/M − 1)))",
        presumes: "exponential failures; no input while the job is down",
        source: "Daly 2006; Jayasekara et al. 2020",
    },
    Formula {
        name: "load-aware, closed form",
        equation: "T = √(2c(M(1 − ρ)/(wρ) + (D + d)/(1 − ρ)))",
        presumes: "T above ten times c/(1 − ρ); R(T) < M",
        source: "derived here",
    },
    Formula {
        name: "load-aware, numerical",
        equation: "T minimises c/T + w·R(T)/M, R = (D·μₑ + λA)/(μₑ − λ), μₑ = μ(1 − c/T), A = T/2 + d",
        presumes: "steady input; R(T) < M",
        source: "derived here",
    },
    Formula {
        name: "Young, c(T)",
        equation: "T = √(2·c(T)·M)",
        presumes: "Young, and c known at its own choice",
        source: "Young 1974, repeated until T stays",
    },
    Formula {
        name: "load-aware, c(T)",
        equation: "as load-aware, numerical, with c(T)",
        presumes: "the same, and c known at its own choice",
        source: "derived here, repeated until T stays",
    },
];

/// Number of a formula in pictures, from 1; 0 if it is not listed.
pub(super) fn number(name: &str) -> usize {
    FORMULAS.iter().position(|formula| formula.name == name).map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::analysis::advise;
    use crate::tuning::fixtures;

    #[test]
    fn every_choice_is_in_the_catalogue_in_its_order() {
        for advice in advise(&fixtures::set()) {
            let names: Vec<&str> = advice.choices.iter().map(|choice| choice.formula.as_str()).collect();
            assert_eq!(names, FORMULAS.map(|formula| formula.name));
        }
        assert_eq!((number("Young"), number("?")), (2, 0));
    }

    #[test]
    fn equations_come_apart_between_two_of_them() {
        assert_eq!(
            FORMULAS[6].parts(),
            ["T minimises c/T + w·R(T)/M", "R = (D·μₑ + λA)/(μₑ − λ)", "μₑ = μ(1 − c/T)", "A = T/2 + d"]
        );
        assert_eq!(FORMULAS[1].parts(), ["T = √(2cM)"]);
        assert_eq!(FORMULAS[8].parts(), ["as load-aware, numerical, with c(T)"]);
    }
}
