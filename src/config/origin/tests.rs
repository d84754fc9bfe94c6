use super::*;

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

fn parts(text: &str) -> (bool, String, u16, String, String) {
    let origin = origin(text);
    let whole = origin.to_string();
    (origin.scheme_is_tls(), origin.host().to_owned(), origin.port(), origin.authority().to_owned(), whole)
}

fn expected(tls: bool, host: &str, port: u16, authority: &str, whole: &str) -> (bool, String, u16, String, String) {
    (tls, host.to_owned(), port, authority.to_owned(), whole.to_owned())
}

#[test]
fn takes_a_host_name_with_the_default_port() {
    let wonder = "https://gateway.wonder.today";
    assert_eq!(parts(wonder), expected(true, "gateway.wonder.today", 443, "gateway.wonder.today", wonder));
}

#[test]
fn drops_the_default_port_and_keeps_others() {
    assert_eq!(origin("https://a.example:443").authority(), "a.example");
    assert_eq!(origin("https://a.example:80").authority(), "a.example:80");
    assert_eq!(origin("http://localhost:80").authority(), "localhost");
    assert_eq!(origin("http://localhost:443").authority(), "localhost:443");
}

#[test]
fn lower_cases_scheme_and_host() {
    assert_eq!(origin("HTTPS://Gateway.WONDER.today").to_string(), "https://gateway.wonder.today");
}

#[test]
fn takes_a_single_slash_at_the_end() {
    assert_eq!(origin("https://a.example/").to_string(), "https://a.example");
}

#[test]
fn puts_ipv6_addresses_in_brackets() {
    assert_eq!(parts("https://[0:0::1]:4443"), expected(true, "::1", 4443, "[::1]:4443", "https://[::1]:4443"));
    assert_eq!(origin("https://[2001:DB8::1]").authority(), "[2001:db8::1]");
}

#[test]
fn takes_plain_http_to_loopback_alone() {
    for text in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]", "http://localhost:1", "http://LOCALHOST"]
    {
        assert!(!origin(text).scheme_is_tls());
    }
    for text in ["http://a.example", "http://10.0.0.1", "http://0.0.0.0", "http://localhost.example", "http://[::]"] {
        assert_eq!(text.parse::<Origin>(), Err(OriginError::PlainHttp), "{text}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (text, error) in [
        ("", OriginError::Form),
        ("gateway.wonder.today", OriginError::Form),
        ("https:gateway", OriginError::Form),
        ("ftp://a.example", OriginError::Scheme),
        ("unix:///run/x", OriginError::Scheme),
        ("https://user@a.example", OriginError::UserInfo),
        ("https://user:secret@a.example/x", OriginError::UserInfo),
        ("https://a.example/svc", OriginError::Path),
        ("https://a.example//", OriginError::Path),
        ("https://a.example?x=1", OriginError::Query),
        ("https://a.example/?", OriginError::Query),
        ("https://a.example#", OriginError::Fragment),
        ("https://a.example/x?y#z", OriginError::Fragment),
        ("https://", OriginError::Host),
        ("https://:443", OriginError::Host),
        ("https://a..example", OriginError::Host),
        ("https://a.example.", OriginError::Host),
        ("https://-a.example", OriginError::Host),
        ("https://a b.example", OriginError::Host),
        ("https://a%2eexample", OriginError::Host),
        ("https://a\\b.example", OriginError::Host),
        ("https://bücher.example", OriginError::Unicode),
        ("https://BÜCHER.example:443", OriginError::Unicode),
        ("https://a。example", OriginError::Unicode),
        ("https://127.1", OriginError::Host),
        ("https://0x7f.0x1", OriginError::Host),
        ("https://1.2.3.256", OriginError::Host),
        ("https://[::1", OriginError::Host),
        ("https://[::1]x", OriginError::Host),
        ("https://[fe80::1%25eth0]", OriginError::Host),
        ("https://[127.0.0.1]", OriginError::Host),
        ("https://a.example:", OriginError::Port),
        ("https://a.example:0", OriginError::Port),
        ("https://a.example:65536", OriginError::Port),
        ("https://a.example:+443", OriginError::Port),
        ("https://a.example:80:80", OriginError::Host),
        ("https://::1", OriginError::Host),
    ] {
        assert_eq!(text.parse::<Origin>(), Err(error), "{text}");
    }
}
