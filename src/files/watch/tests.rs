use std::fs;

use super::*;

#[test]
fn a_change_is_read_once_it_has_been_quiet_and_only_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let seen = |content: &str| {
        fs::write(&path, content).unwrap();
        Fingerprint::of(std::slice::from_ref(&path))
    };
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let mut quiet = Quiet::new(seen("one"));
    assert!(!quiet.check(seen("one"), at(0)));
    assert_eq!(quiet.due(), None);
    // Half written, then the rest: the quiet time starts again.
    assert!(!quiet.check(seen("tw"), at(1)));
    assert_eq!(quiet.due(), Some(at(3)));
    assert!(!quiet.check(seen("two"), at(2)));
    assert!(!quiet.check(seen("two"), at(3)));
    assert!(quiet.check(seen("two"), at(4)));
    // Back to the last reading within the quiet time.
    let mut quiet = Quiet::new(seen("one"));
    assert!(!quiet.check(seen("two"), at(10)));
    assert!(!quiet.check(seen("one"), at(11)));
    assert_eq!(quiet.due(), None);
    assert!(!quiet.check(seen("two"), at(12)));
    assert!(!quiet.check(seen("two"), at(13)));
}

#[test]
fn a_file_that_never_stops_changing_is_read_after_the_longest_wait() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let start = Instant::now();
    let mut quiet = Quiet::new(Fingerprint::of(std::slice::from_ref(&path)));
    for second in 0_u64..=10 {
        fs::write(&path, second.to_string()).unwrap();
        let seen = Fingerprint::of(std::slice::from_ref(&path));
        assert_eq!(quiet.check(seen, start + Duration::from_secs(second)), second == 10, "{second}");
    }
}

#[test]
fn a_reading_that_mixes_two_versions_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "0").unwrap();
    let mut reads = 0;
    let (.., is_steady) = attempts(std::slice::from_ref(&path), || {
        reads += 1;
        fs::write(&path, reads.to_string()).unwrap();
    });
    assert_eq!((reads, is_steady), (ATTEMPTS, false));
}

#[test]
fn files_that_change_while_they_are_read_are_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "0").unwrap();
    let mut reads = 0;
    let (fingerprint, text) = steady(std::slice::from_ref(&path), || {
        let text = fs::read_to_string(&path).unwrap();
        reads += 1;
        if reads < 3 {
            fs::write(&path, reads.to_string()).unwrap();
        }
        text
    });
    assert_eq!((reads, text.as_str()), (3, "2"));
    assert_eq!(fingerprint, Fingerprint::of(std::slice::from_ref(&path)));
}
