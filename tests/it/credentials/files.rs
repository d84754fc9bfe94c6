//! What can take the place of a key file: each leaves the old unit in use, is named in the log, and keeps no other file from being read.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;

use super::{FAILED, OUTDATED, RELOADED, reached, signed_by};
use crate::support::{
    logged::Logged,
    sidecar::{Sidecar, until},
    upstream::Recorder,
    volume::{UNITS, Volume},
    wire::{exchange, request},
};

/// Replaces what is at `path`, which may be anything.
fn remove(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// The files of the first unit in a directory of their own: its AppID and its key.
fn first_unit() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let [app_id, key] = ["app_id", "key.pem"].map(|name| directory.path().join(name));
    fs::write(&app_id, &UNITS[0].app_id).unwrap();
    fs::write(&key, &UNITS[0].pem).unwrap();
    (directory, app_id, key)
}

#[tokio::test]
async fn nothing_that_takes_the_place_of_a_key_file_stops_the_signing() {
    let (upstream, (_directory, app_id, key)) = (Recorder::start().await, first_unit());
    let toml = format!("[credentials.default]\napp_id_file = {app_id:?}\nprivate_key_file = {key:?}");
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    let signs_with = async |unit: usize| {
        assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
        assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[unit].app_id);
    };
    let huge = || fs::File::create(&key).unwrap().set_len(1 << 32).unwrap();
    let elsewhere = |to: &str| std::os::unix::fs::symlink(to, &key).unwrap();
    let cases: [(&str, &dyn Fn()); 12] = [
        ("a socket", &|| drop(std::os::unix::net::UnixListener::bind(&key).unwrap())),
        ("a link to an endless device", &|| elsewhere("/dev/zero")),
        ("a link to an empty device", &|| elsewhere("/dev/null")),
        ("a dangling link", &|| elsewhere("nowhere")),
        ("nothing", &|| ()),
        ("a directory", &|| fs::create_dir(&key).unwrap()),
        ("a named pipe", &|| pipe(&key)),
        ("a huge file", &huge),
        ("half a file", &|| fs::write(&key, &UNITS[1].pem[..UNITS[1].pem.len() / 2]).unwrap()),
        ("an empty file", &|| fs::write(&key, "").unwrap()),
        ("a link to itself", &|| std::os::unix::fs::symlink(&key, &key).unwrap()),
        ("bytes", &|| fs::write(&key, [0xff; 3000]).unwrap()),
    ];
    for (count, (what, put)) in (1_u32..).zip(cases) {
        remove(&key);
        put();
        sidecar.reload.now();
        until(sidecar.admin, FAILED, f64::from(count)).await;
        until(sidecar.admin, OUTDATED, 1.0).await;
        signs_with(0).await;
        println!("{what}: the old unit signs");
    }
    // The pipe is seen without a signal too, once, and the next good file is read.
    remove(&key);
    pipe(&key);
    until(sidecar.admin, FAILED, 13.0).await;
    remove(&key);
    fs::write(&app_id, &UNITS[1].app_id).unwrap();
    fs::write(&key, &UNITS[1].pem).unwrap();
    until(sidecar.admin, RELOADED, 1.0).await;
    until(sidecar.admin, FAILED, 13.0).await;
    until(sidecar.admin, OUTDATED, 0.0).await;
    signs_with(1).await;
}

#[tokio::test]
async fn the_log_names_file_and_remedy_and_a_storm_of_signals_reads_once_or_twice() {
    let (upstream, (_directory, app_id, key)) = (Recorder::start().await, first_unit());
    let variables = [
        ("WONDER_SIGNER_CREDENTIALS__SHOP__APP_ID_FILE", app_id.to_str().unwrap()),
        ("WONDER_SIGNER_CREDENTIALS__SHOP__PRIVATE_KEY_FILE", key.to_str().unwrap()),
    ];
    let program = Logged::before(&upstream.origin(), &variables).await;
    let cases: [(&dyn Fn(), &str); 6] = [
        (
            &|| drop(std::os::unix::net::UnixListener::bind(&key).unwrap()),
            "is a socket, a file is needed; put a regular file in its place",
        ),
        (
            &|| std::os::unix::fs::symlink("/dev/null", &key).unwrap(),
            "is a character device, a file is needed; put a regular file in its place",
        ),
        (&|| (), "cannot be read: No such file or directory (os error 2); create it, or correct its path"),
        (&|| fs::create_dir(&key).unwrap(), "is a directory, a file is needed; name the file in it"),
        (&|| pipe(&key), "has become a named pipe, which cannot be read again; put a regular file in its place"),
        (
            &|| fs::write(&key, &UNITS[1].pem[..400]).unwrap(),
            "is cut short: the PEM block has no \"-----END\" line; copy the whole file",
        ),
    ];
    for (put, reason) in cases {
        remove(&key);
        put();
        program.signal("HUP");
        let line = program.line("credential cannot be reloaded; the one read before stays in use").await;
        assert_eq!(line["error"], format!("credentials.shop.private_key_file {}: {reason}", key.display()));
    }
    remove(&key);
    fs::write(&key, &UNITS[0].pem).unwrap();
    for _ in 0..50 {
        program.signal("HUP");
    }
    program.line("credential reloaded").await;
    assert_eq!(exchange(program.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    // A change of half a unit is named before Wonder rejects it.
    fs::write(&key, &UNITS[1].pem).unwrap();
    program.signal("HUP");
    let line = program.line("AppID and key of the credential do not change together").await;
    assert_eq!((line["credential"].as_str(), line["level"].as_str()), (Some("shop"), Some("warn")));
    assert!(line["cause"].as_str().unwrap().contains("a new key needs a new AppID"), "{line}");
    program.stop().await;
}

#[tokio::test]
async fn a_file_that_grows_without_end_is_reported_and_the_old_unit_signs() {
    let (upstream, (_directory, app_id, key)) = (Recorder::start().await, first_unit());
    let toml = format!("[credentials.default]\napp_id_file = {app_id:?}\nprivate_key_file = {key:?}");
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    let mut file = fs::File::create(&key).unwrap();
    // It is never quiet, so it is read in spite of that.
    let grows = async {
        loop {
            file.write_all(b"a line of a log\n").unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = grows => {}
        () = reached(&sidecar, FAILED, 1.0) => {}
    }
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[0].app_id);
}

#[tokio::test]
async fn a_data_link_that_points_to_nothing_for_a_moment_is_survived() {
    let (upstream, volume) = (Recorder::start().await, Volume::of(&UNITS[0]));
    let toml = format!("[credentials.default]\n{}", volume.toml());
    let sidecar = Sidecar::with_credentials(&upstream.origin(), &toml).await.unwrap();
    let link = fs::read_link(volume.path("..data")).unwrap();
    fs::remove_file(volume.path("..data")).unwrap();
    std::os::unix::fs::symlink("nowhere", volume.path("..data")).unwrap();
    sidecar.reload.now();
    until(sidecar.admin, FAILED, 1.0).await;
    assert_eq!(exchange(sidecar.listen, &request("POST", "/svc/a", &[], b"{}")).await.status(), 200);
    assert_eq!(signed_by(&upstream.next().await).app_id, UNITS[0].app_id);
    fs::remove_file(volume.path("..data")).unwrap();
    std::os::unix::fs::symlink(link, volume.path("..data")).unwrap();
    // Without a signal.
    until(sidecar.admin, RELOADED, 1.0).await;
    until(sidecar.admin, OUTDATED, 0.0).await;
}
