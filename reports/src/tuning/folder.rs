//! The folder of a tuning set, with all documents, in the form in which a study can be committed.
//!
//! Start at [`write()`].

use std::io;
use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::{TuningSet, html, json, markdown, svg};
use crate::json::write_atomically;

/// Writes `tuning.json`, `report.html`, `curves/*.svg` and `README.md` into `folder`, creating it; returns their paths
/// in that order.
///
/// Each file appears as a whole or not at all. The data is written first, so that a full disk loses only what can be
/// made again, and the text that links to the pictures is written last. Files with other names are left alone.
pub fn write(folder: &Path, set: &TuningSet) -> io::Result<Vec<PathBuf>> {
    let findings = Findings::of(set);
    let curves = folder.join("curves");
    std::fs::create_dir_all(&curves)?;
    let mut documents = vec![
        (folder.join("tuning.json"), json::to_string(&findings)),
        (folder.join("report.html"), html::page(&findings)),
    ];
    documents.extend(svg::files(&findings).into_iter().map(|(name, text)| (curves.join(name), text)));
    documents.push((folder.join("README.md"), markdown::study(&findings)));
    let mut files = Vec::with_capacity(documents.len());
    for (file, text) in documents {
        write_atomically(&file, text.as_bytes())?;
        files.push(file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::fixtures;

    #[test]
    fn a_folder_holds_every_document_and_every_link_leads_somewhere() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("studies/tuning");
        let files = write(&folder, &fixtures::set()).unwrap();
        assert_eq!(write(&folder, &fixtures::set()).unwrap(), files, "it can be written again");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 4);
        assert_eq!(std::fs::read_dir(folder.join("curves")).unwrap().count(), files.len() - 3);
        assert_eq!(json::read(&folder.join("tuning.json")).unwrap(), fixtures::set());
        let text = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let mut links = 0;
        let links_of = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for link in links_of.filter(|link| !link.0.starts_with('#')) {
            assert!(folder.join(link.0).exists(), "{}", link.0);
            links += 1;
        }
        assert!(links > 16, "{links}");
    }
}
