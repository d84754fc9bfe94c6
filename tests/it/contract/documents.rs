//! The contract's table in the code agrees with the documents and the metrics.

use std::{collections::BTreeSet, fmt::Write as _};

use wonder_signer::{
    contract::{Code, Row, Sent, Severity},
    metrics::Metrics,
};

const ERRORS: &str = include_str!("../../../deploy/errors.md");
const LOGS: &str = include_str!("../../../deploy/logs.md");
const RUNBOOK: &str = include_str!("../../../deploy/runbook.md");

fn rows() -> impl Iterator<Item = (Code, Row)> {
    Code::ALL.iter().flat_map(|code| code.rows().iter().map(move |row| (*code, *row)))
}

/// The text below a heading of the second level, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let text = &page[start + heading.len() + 5..];
    text.find("\n## ").map_or(text, |end| &text[..end])
}

#[test]
fn the_error_page_has_the_table_of_the_code() {
    let mut table =
        String::from("| Code | Status | `sent` | `Retry-After` | Level of the log line |\n|---|---|---|---|---|\n");
    for (code, row) in rows() {
        let code = code.as_str();
        let retry_after = if row.retry_after() { "yes" } else { "" };
        let (status, sent, level) = (row.status.as_u16(), row.sent.as_str(), row.severity().as_str());
        let _ = writeln!(table, "| [`{code}`](#{code}) | {status} | `{sent}` | {retry_after} | `{level}` |");
    }
    assert!(ERRORS.contains(&table), "deploy/errors.md needs this table:\n{table}");
}

#[test]
fn each_entry_of_the_error_page_begins_with_its_table_rows() {
    for code in Code::ALL {
        let rows = code.rows().iter().map(|row| {
            let retry_after = if row.retry_after() { " with `Retry-After`" } else { "" };
            format!("{}{retry_after}, `sent` `{}`", row.status.as_u16(), row.sent.as_str())
        });
        let expected = format!("{}. **What it means.**", rows.collect::<Vec<_>>().join("; "));
        // The page wraps long lines.
        let text = section(ERRORS, code.as_str()).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.starts_with(&expected), "{}: {expected}", code.as_str());
    }
}

#[test]
fn the_runbook_names_the_codes_that_may_come_with_an_unknown_outcome() {
    let expected: BTreeSet<&str> =
        rows().filter(|(_, row)| row.sent == Sent::Maybe).map(|(code, _)| code.as_str()).collect();
    let text = section(RUNBOOK, "How to settle an unknown outcome");
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let named: BTreeSet<&str> = text.split('`').filter(|word| known.contains(word)).collect();
    assert_eq!(named, expected);
}

#[test]
fn the_log_page_lists_the_level_of_each_outcome() {
    let text = section(LOGS, "The request line").split_whitespace().collect::<Vec<_>>().join(" ");
    for (severity, outcome) in [
        (Severity::Error, "`sent` is `maybe`"),
        (Severity::Warn, "an error answered here with a status of 500 or more, and `sent` is `no`"),
        (Severity::Info, "everything else"),
    ] {
        let expected = format!("`{}`: {outcome}", severity.as_str());
        assert!(text.contains(&expected), "{expected}");
    }
}

#[test]
fn every_error_has_a_metric_series_from_the_start() {
    let reasons: Vec<&'static str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let text = Metrics::new(&reasons).encode().unwrap();
    for (code, row) in rows() {
        let labels = format!(r#"reason="{}",sent="{}""#, code.as_str(), row.sent.as_str());
        let series = format!("wonder_signer_proxy_errors_total{{{labels}}} 0\n");
        assert!(text.contains(&series), "{series}");
    }
}
