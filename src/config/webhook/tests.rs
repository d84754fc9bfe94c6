use super::{
    super::origin::OriginError, Application, PathPrefix, RedisUrl, application::NotAnApplication,
    path_prefix::NotAPath, redis_url::NotARedisUrl,
};

#[test]
fn an_application_is_plain_http_or_a_unix_socket_without_a_path() {
    for (text, shown, local) in [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", true),
        ("http://localhost/", "http://localhost", true),
        ("http://[::1]:80", "http://[::1]", true),
        ("unix:/run/app.sock", "unix:/run/app.sock", true),
        ("http://Shop.payments.svc:3000", "http://shop.payments.svc:3000", false),
        ("http://10.1.2.3", "http://10.1.2.3", false),
    ] {
        let application: Application = text.parse().unwrap();
        assert_eq!((application.to_string().as_str(), application.is_local()), (shown, local), "{text}");
    }
    for (text, error) in [
        ("", NotAnApplication::Form),
        ("127.0.0.1:3000", NotAnApplication::Form),
        ("unix:app.sock", NotAnApplication::Form),
        ("unix:/run/", NotAnApplication::Form),
        ("https://127.0.0.1:3000", NotAnApplication::Tls),
        ("http://127.0.0.1:3000/hooks", NotAnApplication::Path),
        ("http://127.0.0.1:3000?x", NotAnApplication::Origin(OriginError::Query)),
        ("http://user:password@127.0.0.1", NotAnApplication::Origin(OriginError::UserInfo)),
        ("http://127.1", NotAnApplication::Origin(OriginError::Host)),
        ("http://127.0.0.1:0", NotAnApplication::Origin(OriginError::Port)),
    ] {
        assert_eq!(text.parse::<Application>().unwrap_err(), error, "{text}");
    }
}

#[test]
fn a_path_prefix_is_a_path_without_dot_segments() {
    for (text, shown) in [("/", "/"), ("/hooks", "/hooks"), ("/hooks/", "/hooks"), ("/a%2Fb/c", "/a%2Fb/c")] {
        assert_eq!(text.parse::<PathPrefix>().unwrap().to_string(), shown, "{text}");
    }
    for text in ["", "hooks", "/a?b", "/a#b", "/a b", "/a/../b", "/a/.", "/\u{e4}", "/a\\b", "http://shop/a"] {
        assert_eq!(text.parse::<PathPrefix>(), Err(NotAPath), "{text:?}");
    }
}

#[test]
fn a_redis_url_has_no_password_and_no_surprise() {
    for (text, shown) in [
        ("rediss://redis.internal", "rediss://redis.internal:6379/0"),
        ("redis://127.0.0.1:6380/15", "redis://127.0.0.1:6380/15"),
        ("rediss://signer@[::1]:1/", "rediss://signer@[::1]:1/0"),
    ] {
        assert_eq!(text.parse::<RedisUrl>().unwrap().to_string(), shown, "{text}");
    }
    for (text, error) in [
        ("redis.internal:6379", NotARedisUrl::Form),
        ("http://redis.internal", NotARedisUrl::Form),
        ("rediss://", NotARedisUrl::Form),
        ("rediss://user@bücher.example:6379/0", NotARedisUrl::Unicode),
        ("rediss://@redis", NotARedisUrl::Form),
        ("rediss://redis/name", NotARedisUrl::Form),
        ("rediss://redis/1?x", NotARedisUrl::Form),
        ("rediss://redis:x", NotARedisUrl::Form),
        ("rediss://user:MARKER@redis", NotARedisUrl::Password),
        ("rediss://:MARKER@redis", NotARedisUrl::Password),
        ("rediss://user:MAR@KER@redis", NotARedisUrl::Password),
    ] {
        assert_eq!(text.parse::<RedisUrl>().unwrap_err(), error, "{text}");
    }
}
