//! Every page, section and configuration key that a text cites exists.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every text of the repository, with its path from the root.
fn texts() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                // Build output, git's own files, and fuzzing inputs.
                if !["target", ".git", "corpus", "node_modules"].iter().any(|other| name == *other) {
                    folders.push(path);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path.strip_prefix(root).unwrap().to_path_buf(), text));
            }
        }
    }
    found
}

/// The words of `text` that look like a path of a documentation page.
fn cited(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "._/:-".contains(c)));
    words.map(|word| word.trim_end_matches(['.', ':'])).filter(|word| {
        let page = Path::new(word);
        let is_page = page.extension().is_some_and(|ending| ending == "md") && page.file_stem().is_some();
        is_page && !word.contains("://")
    })
}

/// A link is relative to its page's folder. Prose cites from the root, or by a file name that exists in the repository.
fn is_there(file: &Path, page: &str, all: &[(PathBuf, String)]) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = file.ancestors().skip(1);
    folders.map(|folder| root.join(folder).join(page)).any(|path| path.exists())
        || (!page.contains('/') && all.iter().any(|(path, _)| path.file_name().is_some_and(|name| name == page)))
}

#[test]
fn every_cited_page_exists() {
    let all = texts();
    let gone: Vec<String> = all
        .iter()
        .flat_map(|(file, text)| {
            cited(text).filter(|page| !is_there(file, page, &all)).map(|page| format!("{}: {page}", file.display()))
        })
        .collect();
    assert!(all.len() > 100 && gone.is_empty(), "{gone:#?}");
}

/// Tests the check itself.
#[test]
fn a_missing_page_is_detected() {
    let all = texts();
    // In two parts, because this file is searched as well.
    let gone = ["gone", "md"].join(".");
    let text = format!("see `{gone}` §2, [x](../{gone}#a), deploy/{gone}. https://example.com/{gone} deploy/errors.md");
    let seen: Vec<&str> = cited(&text).filter(|page| !is_there(Path::new("src/lib.rs"), page, &all)).collect();
    assert_eq!(seen, [gone.clone(), format!("../{gone}"), format!("deploy/{gone}")]);
}

#[test]
fn every_cited_section_exists() {
    let (all, page) = (texts(), include_str!("../../deploy/docs/wonder.md"));
    let sections: Vec<&str> =
        page.lines().filter(|line| line.starts_with("##")).filter_map(|line| line.split(' ').nth(1)).collect();
    let mut count = 0;
    for (file, text) in &all {
        for after in text.split(&["deploy/docs/wonder.md`", "§"].join(" ")).skip(1) {
            let section =
                after.split(|c: char| !(c.is_ascii_digit() || c == '.')).next().unwrap().trim_end_matches('.');
            assert!(sections.contains(&section), "{}: §{section}", file.display());
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

/// Every key of the configuration with its default, `None` where it has none and is commented out.
fn keys() -> BTreeMap<String, Option<String>> {
    let mut found = BTreeMap::new();
    let mut section = "";
    for line in include_str!("../../config/default.toml").lines() {
        let (line, is_set) = line.strip_prefix("# ").map_or((line, true), |line| (line, false));
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, value)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            found.insert(format!("{section}.{key}"), is_set.then(|| value.trim_matches('"').to_owned()));
        }
    }
    found
}

/// The pages for people who deploy and operate the program.
fn pages() -> impl Iterator<Item = (PathBuf, String)> {
    let is_page = |path: &Path| {
        path.extension().is_some_and(|ending| ending == "md")
            && (path.starts_with("deploy") || path == Path::new("README.md"))
            && !path.ends_with("CHANGELOG.md")
    };
    texts().into_iter().filter(move |(path, _)| is_page(path))
}

/// The code spans of a page, each with the text that follows it. Blocks of code are left out.
fn spans(page: &str) -> Vec<(String, String)> {
    let prose: String = page.split("```").step_by(2).collect();
    let prose = prose.replace("`` ` ``", "").replace("``", "`").replace("\n|", "\n\n|").replace("\n*", "\n\n*");
    // A span ends with its paragraph, item or row at the latest.
    prose
        .split("\n\n")
        .flat_map(|paragraph| {
            let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            let parts: Vec<&str> = words.split('`').collect();
            parts
                .chunks(2)
                .zip(parts.chunks(2).skip(1))
                .filter_map(|(one, next)| Some(((*one.get(1)?).to_owned(), next[0].to_owned())))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_key_named_by_a_page_exists() {
    let (keys, mut count) = (keys(), 0);
    let is_key = |word: &str| {
        word.split_once('.').is_some_and(|(section, rest)| {
            keys.keys().any(|key| key.starts_with(&format!("{section}.")))
                && rest.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(&byte))
        })
    };
    for (file, text) in pages() {
        for (span, _) in spans(&text) {
            let word = span.split(' ').next().unwrap();
            if !is_key(word) {
                continue;
            }
            let is_section = keys.keys().any(|key| key.starts_with(&format!("{word}.")));
            assert!(is_section || keys.contains_key(word), "{}: {word}", file.display());
            count += 1;
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_default_named_by_a_page_is_the_default() {
    let (keys, mut count) = (keys(), 0);
    for (file, text) in pages() {
        for (key, after) in spans(&text) {
            let (Some(Some(default)), Some(stated)) = (keys.get(&key), after.strip_prefix(" (")) else { continue };
            let stated = stated.split([')', ',']).next().unwrap();
            let is_default = stated.ends_with(" by default");
            // `10 minutes` is 10m, `20 s` is 20s.
            let value = stated.trim_end_matches(" by default").replace(" minutes", "m").replace(' ', "");
            if is_default || value == *default {
                assert_eq!(&value, default, "{}: {key}", file.display());
                count += 1;
            }
        }
    }
    assert!(count > 5, "{count}");
}
