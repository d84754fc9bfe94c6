//! The runbook, compiled in, because a person on call may reach only this pod and needs the runbook of this version.

pub(super) const TEXT: &str = include_str!("../../deploy/runbook.md");

/// One entry, from its heading to the next; `None` without such a heading.
pub(super) fn entry(name: &str) -> Option<&'static str> {
    let mut from = None;
    let mut at = 0;
    for line in TEXT.split_inclusive('\n') {
        if let Some(heading) = line.strip_prefix("## ") {
            match from {
                Some(from) => return TEXT.get(from..at),
                None if heading.trim_end() == name => from = Some(at),
                None => {}
            }
        }
        at += line.len();
    }
    TEXT.get(from?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_entry_whole_and_no_other() {
        let names: Vec<&str> = TEXT.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let entry = entry(name).unwrap();
            assert!(entry.starts_with(&format!("## {name}\n")) && entry.matches("\n## ").count() == 0, "{name}");
        }
        for name in ["", "WonderSigner", "wondersignerdown", "## WonderSignerDown"] {
            assert_eq!(entry(name), None, "{name}");
        }
    }
}
