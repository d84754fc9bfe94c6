//! The rooms of the library: arrows point down the map at the head of `src/lib.rs`, and no two modules import each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module by its path below the crate: `src/net/tls.rs` and `src/net/tls/mod.rs` are both `["net", "tls"]`.
type Module = Vec<String>;

/// An import of `to` in the file `file` of the module `from`.
struct Arrow {
    file: String,
    from: Module,
    to: Module,
}

/// The code of each module outside its tests, with the path of its file.
fn modules() -> BTreeMap<Module, (String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_stem().unwrap();
            if name == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let place = path.strip_prefix(&root).unwrap();
            let mut module: Module = place.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            module.pop();
            if !["mod", "lib"].iter().any(|own| name == *own) {
                module.push(name.to_str().unwrap().to_owned());
            }
            found.insert(module, (format!("src/{}", place.display()), code(&fs::read_to_string(&path).unwrap())));
        }
    }
    found
}

/// `text` without comments and without items for tests alone. An item ends where a line of its own indentation ends it.
fn code(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let (mut kept, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            lines.find(|next| indentation(next) == indentation(line) && next.ends_with([';', '}', ',']));
        } else if !line.trim_start().starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// Every path in `code` that begins with `crate` or `super`; a group in braces is one path for each of its items.
fn paths(code: &str) -> Vec<Module> {
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let starts = ["crate::", "super::"].into_iter().flat_map(|start| code.match_indices(start));
    let starts = starts.filter(|(at, _)| !code[..*at].ends_with(is_of_path));
    starts.flat_map(|(at, _)| branches(&mut code[at..].trim_start(), &[])).collect()
}

/// The paths of one `use` tree at the start of `rest`, each below `above`. `rest` is what follows the tree.
fn branches(rest: &mut &str, above: &[String]) -> Vec<Module> {
    let mut path = above.to_vec();
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        path.push(rest[..end].to_owned());
        *rest = &rest[end..];
        let Some(next) = rest.strip_prefix("::") else { return vec![path] };
        *rest = next;
        let Some(mut group) = next.strip_prefix('{') else { continue };
        let mut all = Vec::new();
        loop {
            group = group.trim_start();
            if let Some(after) = group.strip_prefix('}') {
                *rest = after;
                return all;
            }
            all.extend(branches(&mut group, &path));
            // What remains of an item is `as name`.
            group = group.trim_start_matches(|c| c != ',' && c != '}').trim_start_matches(',');
        }
    }
}

/// The module in which `path`, as `from` writes it, ends.
fn resolve(path: &[String], from: &[String], all: &BTreeMap<Module, (String, String)>) -> Module {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let base = if ups == 0 { &[] } else { &from[..from.len() - ups] };
    let mut to = [base, &path[ups.max(1)..]].concat();
    while !all.contains_key(&to) {
        to.pop();
    }
    to
}

/// The imports between modules of which neither is within the other.
fn arrows() -> Vec<Arrow> {
    let all = modules();
    let mut arrows = Vec::new();
    for (from, (file, code)) in &all {
        for to in paths(code).iter().map(|path| resolve(path, from, &all)) {
            if !from.starts_with(&to) && !to.starts_with(from) {
                arrows.push(Arrow { file: file.clone(), from: from.clone(), to });
            }
        }
    }
    arrows
}

/// The floor of each room, from the map at the head of `src/lib.rs`.
fn floors() -> BTreeMap<String, u8> {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rooms: BTreeSet<&str> = lib.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';')).collect();
    let mut floors = BTreeMap::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("//! ")) {
        let Some(floor) = line.split(' ').next().and_then(|floor| floor.parse().ok()) else { continue };
        for room in line.split_whitespace().filter(|word| rooms.contains(word)) {
            assert_eq!(floors.insert(room.to_owned(), floor), None, "{room} is twice on the map");
        }
    }
    assert!(floors.keys().eq(&rooms), "the map has {:?}, the library {rooms:?}", floors.keys());
    floors
}

#[test]
fn arrows_between_rooms_point_down() {
    let floors = floors();
    let mut wrong = BTreeSet::new();
    for Arrow { file, from, to } in arrows() {
        let (from, to) = (&from[0], &to[0]);
        if from != to && from != "main" && floors[from] <= floors[to] {
            wrong.insert(format!("{file}: {from} (floor {}) → {to} (floor {})", floors[from], floors[to]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_siblings_import_each_other_in_a_circle() {
    // The arrows between the children of each module: an arrow belongs to the module within which its two ends part.
    let mut graph: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for Arrow { file, from, to } in arrows() {
        let shared = from.iter().zip(&to).take_while(|(left, right)| left == right).count();
        let [from, to] = [from, to].map(|module| module[..=shared].join("::"));
        graph.entry(from).or_default().entry(to).or_default().insert(file);
    }
    // What imports nothing is in no circle, and neither is what nothing imports.
    loop {
        let imported: BTreeSet<String> = graph.values().flat_map(BTreeMap::keys).cloned().collect();
        let importing: BTreeSet<String> = graph.keys().cloned().collect();
        graph.retain(|from, imports| {
            imports.retain(|to, _| importing.contains(to));
            imported.contains(from) && !imports.is_empty()
        });
        if graph.len() == importing.len() {
            break;
        }
    }
    assert!(graph.is_empty(), "{graph:#?}");
}
