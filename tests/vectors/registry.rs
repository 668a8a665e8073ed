//! Path patterns and paths as official servers treat them.

use hermod::registry::{CheckedPath, PathGlob};

fn table(name: &str) -> Option<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(super::common::vectors()?.join("globalconf/cases").join(name)).ok()?;
    Some(text.lines().skip(1).map(|line| line.split('\t').map(str::to_string).collect()).collect())
}

#[test]
fn trap_trust_37_path_patterns_match_as_officially() {
    let Some(rows) = table("path-glob-cases.tsv") else { return };
    assert!(rows.len() > 30);
    for row in rows {
        let glob = PathGlob::new(&row[0]).unwrap();
        assert_eq!(glob.matches(&row[1]), row[2] == "true", "{row:?}");
    }
}

/// Where official servers check another path than they send, or fail, Hermod refuses or checks what it sends.
#[test]
fn what_is_checked_is_what_is_sent_for_every_official_case() {
    let Some(rows) = table("path-normalize-cases.tsv") else { return };
    let (mut same, mut refused) = (0, 0);
    for row in rows {
        let official = row[1].as_str();
        match CheckedPath::new(&row[0]) {
            Ok(path) if official.starts_with("ERROR") => {
                assert!(!path.decoded().contains(".."), "{row:?}: unambiguous, though officially an error");
            }
            Ok(path) if official.contains("denied") => assert_eq!(row[0], "/x..y", "{}", path.decoded()),
            Ok(path) => {
                assert_eq!(path.decoded(), official, "{row:?}");
                same += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(same >= 6 && refused >= 10, "{same} {refused}");
}
