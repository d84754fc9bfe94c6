//! Shell quoting, for commands that people paste.

/// `text` as one word of sh, bash and zsh.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_a_text_that_a_shell_would_split_or_expand() {
        for plain in ["a/b-c_d.e:f", "https://127.0.0.1:4443"] {
            assert_eq!(word(plain), plain);
        }
        for text in ["", "a b", "a?b", "$HOME", "~", "=x", "*", "a;b", "a&b", "\u{e9}"] {
            assert_eq!(word(text), format!("'{text}'"));
        }
        assert_eq!(word("it's"), r"'it'\''s'");
    }
}
