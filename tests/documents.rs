//! What the documents say is there, is there.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hermod::config::Config;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root().join(folder), ".rs", &mut found);
    found
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    files(&root().join("docs"), ".md", &mut found);
    found
}

/// Everything between single back ticks, outside of fences.
fn code_spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_string));
        }
    }
    spans
}

/// The blocks that are fenced as `language`, without their indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(of), None) => open = Some((of.trim() == language, String::new())),
            (Some(_), Some((wanted, block))) => {
                if *wanted {
                    blocks.push(std::mem::take(block));
                }
                open = None;
            }
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

#[test]
fn files_and_functions_named_in_the_architecture_exist() {
    let mut named = 0;
    for span in code_spans(&read("docs/architecture.md")) {
        let (file, function) =
            span.split_once(".rs:").map_or((span.as_str(), None), |(file, function)| (file, Some(function)));
        let file = if function.is_some() { format!("{file}.rs") } else { file.to_string() };
        // The introduction's example of the notation is short.
        if !file.ends_with(".rs") || file.contains(' ') || file == "consumer/rest.rs" {
            continue;
        }
        let path =
            [root().join("src").join(&file), root().join(&file)].into_iter().find(|path| path.is_file());
        let path = path.unwrap_or_else(|| panic!("`{span}`: there is no such file"));
        if let Some(function) = function {
            let text = std::fs::read_to_string(path).unwrap();
            let there = ["(", "<"].iter().any(|end| text.contains(&format!("fn {function}{end}")));
            assert!(there, "`{span}`: there is no such function");
            named += 1;
        }
    }
    assert!(named > 50, "only {named} functions were found in the text");
}

/// The rooms in the order of `docs/architecture.md`, which is that of `src/lib.rs`.
fn rooms() -> Vec<String> {
    let text = read("docs/architecture.md");
    let house = text.split("## The house").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = house.lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| code_spans(row.split('|').nth(1).unwrap()));
    names.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_string()).collect()
}

#[test]
fn a_room_imports_only_rooms_above_it() {
    let rooms = rooms();
    let library = read("src/lib.rs");
    let declared: BTreeSet<&str> =
        library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, rooms.iter().map(String::as_str).collect(), "the list of rooms is not complete");
    for (place, room) in rooms.iter().enumerate() {
        let folder = root().join("src").join(room);
        let files =
            if folder.is_dir() { sources(&format!("src/{room}")) } else { vec![folder.with_extension("rs")] };
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for import in text.split("crate::").skip(1) {
                let other: String =
                    import.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let Some(other_place) = rooms.iter().position(|known| *known == other) else { continue };
                assert!(other_place <= place, "{} imports `{other}`, which is below it", file.display());
            }
        }
    }
}

#[test]
fn the_configuration_document_holds_the_example_word_for_word() {
    let document = read("docs/configuration.md");
    let all = blocks(&document, "toml");
    assert!(
        all.iter().any(|block| block == Config::example()),
        "put src/config/example.toml into docs/configuration.md"
    );
    // The short ones are complete together.
    let short: String = all.iter().filter(|block| *block != Config::example()).cloned().collect();
    Config::parse("docs/configuration.md", Path::new("/etc/hermod"), &short).unwrap();
}

#[test]
fn declarations_of_the_registry_document_are_accepted() {
    let blocks = blocks(&read("docs/registry.md"), "toml");
    assert!(blocks.len() >= 4);
    let folder = tempfile::tempdir().unwrap();
    for block in blocks {
        let file = folder.path().join("registry.toml");
        std::fs::write(&file, &block).unwrap();
        hermod::control::load_declaration(&file).unwrap_or_else(|error| panic!("{error}\n{block}"));
    }
}

#[test]
fn tests_and_files_named_in_the_threat_model_exist() {
    let all: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| sources(folder))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for span in code_spans(&read("docs/threat-model.md")) {
        if span.starts_with("trap_") || span.starts_with("a_") {
            assert!(all.contains(&format!("fn {span}(")), "there is no test {span}");
        } else if span.ends_with(".rs") {
            let places = [root().join(&span), root().join("src").join(&span)];
            assert!(places.iter().any(|place| place.is_file()), "there is no file {span}");
        }
    }
}

#[test]
fn tests_named_in_the_deviations_exist() {
    let all: String = ["src", "tests"]
        .iter()
        .flat_map(|folder| sources(folder))
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    let mut named = 0;
    for span in code_spans(&read("docs/deviations.md")) {
        let is_name = span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        // Codes, keys and figures have fewer words.
        if is_name && span.matches('_').count() > 4 && !span.starts_with("hermod_") {
            assert!(all.contains(&format!("fn {span}(")), "there is no test {span}");
            named += 1;
        }
    }
    assert!(named > 20, "only {named} tests were found in the text");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("http") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", document.display());
            let headings = std::fs::read_to_string(&target).unwrap_or_default();
            let slug = |heading: &str| -> String {
                let kept = heading.trim_start_matches('#').trim().to_lowercase();
                kept.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-').collect::<String>()
            };
            let known = headings.lines().filter(|line| line.starts_with('#')).map(slug);
            let mut known = known.map(|heading| heading.replace(' ', "-"));
            assert!(
                anchor.is_empty() || known.any(|known| known == anchor),
                "{}: {link}",
                document.display()
            );
        }
    }
}

#[test]
fn the_first_commands_of_the_readme_are_the_sandbox_and_the_tests() {
    let readme = read("README.md");
    let commands: Vec<String> = blocks(&readme, "sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_string).collect::<Vec<_>>())
        .collect();
    assert_eq!(commands.first().map(String::as_str), Some("cargo run --release -- sandbox"));
    let fenced = commands.iter().find(|line| line.contains("test"));
    assert_eq!(fenced.map(String::as_str), Some("cargo test"));
}
