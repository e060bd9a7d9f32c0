//! The space-time picture of a run: nodes as lanes over time, barriers as a front through the job graph, faults as
//! bands, recoveries in parts, and a slider that shows what every node did at an instant.
//!
//! The browser draws the picture when a reader opens the run: `data.rs` packs a record into a few kilobytes, [`figure`]
//! puts these into the page, and [`SCRIPT`] unpacks and draws them. The script is plain JavaScript in four parts, in
//! the order of their use: `model.js` (data to model; the state at an instant), `draw.js` (model to SVG), `view.js`
//! (one picture with its controls), `page.js` (opening runs, and addresses such as `#run=3&t=2.5s&w=80ms`). It uses no
//! network and changes nothing but its own picture. Without it the tables of the page have the same information in
//! numbers.
//!
//! Invariants: (SPACETIME-P1) nothing in the data can end its `<script>` element: `<` is never written; (SPACETIME-P2)
//! text reaches the document as text only, never as markup; (SPACETIME-P3) what is drawn depends only on the record, so
//! that a link shows everybody the same.

mod data;

use maud::{Markup, PreEscaped, html};

use crate::record::RunRecord;

/// CSS of the picture.
pub const STYLE: &str = include_str!("spacetime.css");

/// The script of a page with pictures.
pub const SCRIPT: &str = concat!(
    "(() => {\n\"use strict\";\n",
    include_str!("model.js"),
    include_str!("draw.js"),
    include_str!("view.js"),
    include_str!("page.js"),
    "})();\n"
);

/// The element in which the script draws, with the data of the run.
pub fn figure(run: &RunRecord) -> Markup {
    html! {
        div.spacetime {
            noscript { p.dim { "The picture is drawn by JavaScript; the tables below hold its numbers." } }
            script type="application/json" { (PreEscaped(embedded(&data::pack(run)))) }
        }
    }
}

/// JSON that cannot end the element that contains it (SPACETIME-P1).
fn embedded(json: &serde_json::Value) -> String {
    json.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures;

    #[test]
    fn data_cannot_end_its_element() {
        let mut run = fixtures::passed();
        run.faults[0].detail = "</script><script>alert(1)</script><!--".into();
        let text = embedded(&data::pack(&run));
        assert!(!text.contains('<'), "SPACETIME-P1");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), data::pack(&run));
    }

    #[test]
    fn the_script_makes_no_markup_of_text_and_asks_nothing_of_the_network() {
        for word in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttp", "import"]
        {
            assert!(!SCRIPT.contains(word), "SPACETIME-P2: {word}");
        }
        for word in ["Math.random", "Date.now", "new Date", "</script"] {
            assert!(!SCRIPT.contains(word), "SPACETIME-P3: {word}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_runs_are_packed(run in fixtures::any_run()) {
            prop_assert!(!embedded(&data::pack(&run)).contains('<'), "SPACETIME-P1");
        }
    }
}
