//! The same call in four languages to paste, unsigned and through the sidecar. Pure.

use std::fmt::Write as _;

/// The sidecar's default address.
const SIDECAR: &str = "http://127.0.0.1:8080";

/// The name and text of each snippet. `body` is `None` for a call without a body.
pub(super) fn snippets(method: &str, target: &str, body: Option<&str>) -> [(&'static str, String); 4] {
    let url = format!("{SIDECAR}{target}");
    [
        ("curl", curl(method, &url, body)),
        ("PHP", php(method, &url, body)),
        ("Node", node(method, &url, body)),
        ("Python", python(method, &url, body)),
    ]
}

fn curl(method: &str, url: &str, body: Option<&str>) -> String {
    // A web page does not preserve a raw CR.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''").replace('\r', "'\"$(printf '\\r')\"'"));
    // -g: without it, curl interprets brackets in a URL as a range.
    let mut text =
        format!("curl -sS -g -X {} {} \\\n  -H 'Content-Type: application/json'", quoted(method), quoted(url));
    if let Some(body) = body {
        // Writing to a `String` does not fail.
        // curl reads a file if the value of --data or --data-binary begins with @.
        let _ = write!(text, " \\\n  --data-raw {}", quoted(body));
    }
    text
}

fn php(method: &str, url: &str, body: Option<&str>) -> String {
    let quoted =
        |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\r', "'.\"\\r\".'"));
    let content = body.map(|body| format!("\n    'content' => {},", quoted(body))).unwrap_or_default();
    format!(
        "<?php\n$answer = file_get_contents({}, false, stream_context_create(['http' => [\n    'method' => {},\n    \
         'header' => 'Content-Type: application/json',{content}\n    'ignore_errors' => true,\n]]));\necho $answer;",
        quoted(url),
        quoted(method),
    )
}

fn node(method: &str, url: &str, body: Option<&str>) -> String {
    let body = body.map(|body| format!("\n  body: {},", literal(body))).unwrap_or_default();
    format!(
        "fetch({}, {{\n  method: {},\n  headers: {{ \"Content-Type\": \"application/json\" }},{body}\n}})\n  \
         .then((answer) => answer.text())\n  .then(console.log);",
        literal(url),
        literal(method),
    )
}

fn python(method: &str, url: &str, body: Option<&str>) -> String {
    let data = body.map(|body| format!("\n    data={}.encode(),", literal(body))).unwrap_or_default();
    format!(
        "import urllib.error, urllib.request\nrequest = urllib.request.Request(\n    {},{data}\n    \
         headers={{\"Content-Type\": \"application/json\"}},\n    method={},\n)\n\
         try:\n    answer = urllib.request.urlopen(request)\nexcept urllib.error.HTTPError as error:\n    answer = error\n\
         print(answer.read().decode())",
        literal(url),
        literal(method),
    )
}

/// A JSON string, which is also a string literal in JavaScript and Python.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_each_language_gives_a_meaning() {
        let [curl, php, node, python] =
            snippets("POST", "/svc/x?a='", Some("{\"n\":\"it's $x \\\\ \"}")).map(|(_, text)| text);
        assert!(curl.contains(r"'http://127.0.0.1:8080/svc/x?a='\'''"), "{curl}");
        assert!(curl.contains(r#"--data-raw '{"n":"it'\''s $x \\ "}'"#), "{curl}");
        assert!(php.contains(r#"'content' => '{"n":"it\'s $x \\\\ "}'"#), "{php}");
        assert!(node.contains(r#"body: "{\"n\":\"it's $x \\\\ \"}""#), "{node}");
        assert!(python.contains(r#"data="{\"n\":\"it's $x \\\\ \"}".encode()"#), "{python}");
    }

    #[test]
    fn a_call_without_body_sends_none() {
        for (name, text) in snippets("GET", "/svc/x", None) {
            assert!(!text.contains("data") && !text.contains("body:") && !text.contains("'content'"), "{name}: {text}");
        }
    }
}
