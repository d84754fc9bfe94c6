use super::*;

#[test]
fn a_proxy_is_taken_apart_and_its_credentials_are_encoded() {
    for (text, host, port, authorization) in [
        ("http://proxy.internal:3128", "proxy.internal", 3128, None),
        ("HTTP://Proxy.Internal/", "proxy.internal", 80, None),
        ("proxy.internal:3128", "proxy.internal", 3128, None),
        ("http://[::1]:3128", "::1", 3128, None),
        ("http://Aladdin:opensesame@10.0.0.1:8080", "10.0.0.1", 8080, Some("Basic QWxhZGRpbjpvcGVuc2VzYW1l")),
        ("http://user@proxy:1", "proxy", 1, Some("Basic dXNlcjo=")),
        ("http://u:p%40s%3As@proxy:1", "proxy", 1, Some("Basic dTpwQHM6cw==")),
        ("http://u:p@ss@proxy:1", "proxy", 1, Some("Basic dTpwQHNz")),
    ] {
        let proxy: Proxy = text.parse().unwrap();
        let sent = proxy.authorization().map(|value| value.to_str().unwrap());
        assert_eq!((proxy.host(), proxy.port(), sent), (host, port, authorization), "{text}");
    }
}

#[test]
fn what_is_no_proxy_is_refused() {
    for (text, error) in [
        ("", ProxyError::Form),
        ("http://", ProxyError::Form),
        ("http://user:password@bücher.example:3128", ProxyError::Unicode),
        ("http://proxy:0", ProxyError::Form),
        ("http://proxy:3128/path", ProxyError::Form),
        ("http://user:pass/word@proxy:3128", ProxyError::Form),
        ("https://proxy:3128", ProxyError::Scheme),
        ("socks5://proxy:1080", ProxyError::Scheme),
        ("http://:password@proxy", ProxyError::Credentials),
        ("http://a%3Ab:c@proxy", ProxyError::Credentials),
        ("http://a:%0d%0aX-Evil:1@proxy", ProxyError::Credentials),
        ("http://a:%zz@proxy", ProxyError::Credentials),
        ("http://a:100%@proxy", ProxyError::Credentials),
    ] {
        assert_eq!(text.parse::<Proxy>().unwrap_err(), error, "{text}");
    }
}

#[test]
fn user_and_password_are_masked() {
    let proxy: Proxy = "http://MARKER:MARKER@proxy:1".parse().unwrap();
    assert_eq!(proxy.to_string(), "http://(secret)@proxy:1");
    assert_eq!(format!("{proxy:?}"), "Proxy(http://(secret)@proxy:1)");
    assert_eq!("http://proxy:1".parse::<Proxy>().unwrap().to_string(), "http://proxy:1");
}

#[test]
fn no_proxy_names_hosts_domains_addresses_and_networks() {
    for (list, origin, exempt) in [
        ("", "https://gateway.wonder.today", false),
        ("*", "https://gateway.wonder.today", true),
        ("wonder.today", "https://gateway.wonder.today", true),
        (".wonder.today", "https://gateway.wonder.today", true),
        ("*.Wonder.Today", "https://gateway.wonder.today", true),
        ("onder.today", "https://gateway.wonder.today", false),
        ("other.example, gateway.wonder.today", "https://gateway.wonder.today", true),
        ("gateway.wonder.today:443", "https://gateway.wonder.today", true),
        ("gateway.wonder.today:8443", "https://gateway.wonder.today", false),
        ("gateway", "https://gateway.wonder.today", false),
        (".", "https://gateway.wonder.today", false),
        ("10.1.2.3", "https://10.1.2.3", true),
        ("10.1.2.3", "https://10.1.2.4", false),
        ("10.0.0.0/8", "https://10.1.2.3:8443", true),
        ("10.0.0.0/16", "https://10.1.2.3", false),
        ("0.0.0.0/0", "https://10.1.2.3", true),
        ("10.1.2.3/32", "https://10.1.2.3", true),
        ("10.1.2.3/33", "https://10.1.2.3", false),
        ("0.0.0.0/0", "https://[2001:db8::1]", false),
        ("2001:db8::/32", "https://[2001:db8::1]", true),
        ("::/0", "https://[2001:db8::1]", true),
        ("2001:db8::1", "https://[2001:db8::1]", true),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", true),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]", false),
        ("2001:db8::/33", "https://[2001:db8:8000::1]", false),
        ("*", "https://10.1.2.3", true),
        ("*", "https://[2001:db8::1]", true),
        ("a.example b.example gateway.wonder.today", "https://gateway.wonder.today", true),
        (" , ,,gateway.wonder.today,", "https://gateway.wonder.today", true),
        ("*.wonder.today:443", "https://gateway.wonder.today", true),
        ("gateway.wonder.today.evil.example", "https://gateway.wonder.today", false),
        ("today", "https://gateway.wonder.today", true),
        ("10.1.2.3:443", "https://10.1.2.3", true),
        ("10.1.2.3:8443", "https://10.1.2.3", false),
        ("10.1.2", "https://10.1.2.3", false),
    ] {
        assert_eq!(exempts(list, &origin.parse().unwrap()), exempt, "{list} against {origin}");
    }
}
