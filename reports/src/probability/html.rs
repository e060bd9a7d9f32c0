//! The curve in the page of its run: picture, sentence and table. Start at [`section`].

use maud::{Markup, PreEscaped, html};

use super::{FailureCurve, svg, text};
use crate::page::titled;
use crate::units;

/// The part of a run's section with the curve.
pub fn section(curve: &FailureCurve) -> Markup {
    html! {
        section.decided {
            h3 { "When the failure was decided" }
            p.sub {
                "The share of runs that fail in the same way (" (curve.failure) "), if this many events are kept and all timing behind "
                "them is drawn anew; bars are 95 % intervals, numbers above are faults. "
                (units::counted(curve.runs as usize, "run")) "."
            }
            div.scroll { (PreEscaped(svg::picture(curve))) }
            pre { (text::findings(curve)) }
            details {
                summary { "Points" }
                (titled("", "", &text::table(curve)))
            }
        }
    }
}
