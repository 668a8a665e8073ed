//! `docs/traps.md` names tests that are there.

use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_list_of_traps_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    sources(&root.join("tests"), &mut text);
    let list = std::fs::read_to_string(root.join("docs/traps.md")).unwrap();
    let named: Vec<&str> = list.split('`').skip(1).step_by(2).filter(|name| name.contains('_')).collect();
    assert!(named.len() > 100, "{}", named.len());
    for name in named.iter().filter(|name| **name != "io_error") {
        assert!(text.contains(&format!("fn {name}(")), "{name}");
    }
}
