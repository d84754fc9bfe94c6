//! State files that are damaged, foreign, in use, or without access or room.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
    sync::Arc,
};

use proptest::prelude::*;
use tempfile::TempDir;
use wonder_signer::simulator::{BindError, Options, Simulator, StateError, StateFile};

use super::Place;
use crate::{
    simulator::world::{APP_ID, KEY},
    support::program::Program,
};

/// The program's one line about a state file.
fn line(path: &Path, code: i32) -> String {
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("public_key.pem");
    fs::write(&key, KEY.verifying_key().to_pem().unwrap()).unwrap();
    let (key, path) = (key.to_str().unwrap(), path.to_str().unwrap());
    let arguments =
        ["simulate", "--listen", "127.0.0.1:0", "--app-id", APP_ID, "--public-key-file", key, "--state", path];
    let ended = Program::run(&arguments, &[], b"");
    let line = ended.refused(code).strip_prefix(&format!("start: --state {path}: ")).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{ended:?}"))
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_and_the_file_is_left_as_it_is() {
    let place = Place::new();
    place.world(None).await.stop().await;
    let whole = fs::read(place.file()).unwrap();
    let path = |name: &str| place.0.path().join(name);
    let with = |name: &str, content: &[u8]| {
        fs::write(path(name), content).unwrap();
        path(name)
    };
    assert_eq!(line(place.0.path(), 64), "is not a regular file; name a file");
    assert_eq!(line(Path::new("/dev/null"), 64), "is not a regular file; name a file");
    let absent = line(&path("none/state"), 64);
    assert!(absent.starts_with("cannot be opened for reading and writing: "), "{absent}");
    assert!(absent.ends_with("; create its directory, or name another file"), "{absent}");
    let below = line(&place.file().join("state"), 64);
    assert!(below.ends_with("; create its directory, or name another file"), "{below}");
    let foreign = "is not a state file; name another file, because it would be overwritten";
    for content in [&b"{\"orders\":[]}"[..], &[0; 8192], "x".repeat(100_000).as_bytes()] {
        let file = with("foreign", content);
        assert_eq!(line(&file, 64), foreign);
        assert_eq!(fs::read(&file).unwrap(), content);
    }
    let cut = with("cut", &whole[..whole.len() / 2]);
    assert!(line(&cut, 64).starts_with("is damaged ("));
    assert_eq!(fs::read(&cut).unwrap(), whole[..whole.len() / 2]);

    let other = path("other");
    let database = redb::Database::create(&other).unwrap();
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(meta).unwrap().insert("format", &b"7"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_eq!(
        line(&other, 64),
        "has another format than this version reads (format 7, and not 1); use the version that wrote it, or name another file"
    );
    drop(redb::Database::create(path("empty")).unwrap());
    assert_eq!(line(&path("empty"), 64), foreign, "a database of another program");

    let _held = StateFile::open(&place.file()).unwrap();
    assert_eq!(line(&place.file(), 1), "is in use by another process; stop the other simulator, or name another file");
    assert_eq!(place.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// The line of a process that is not root, and of one whose files cannot grow.
fn line_of(place: &Place, path: &Path, limit: Option<&str>) -> (Option<i32>, String) {
    let program = place.0.path().join("wonder-signer");
    // Another process writes the copy: a child of another test could inherit a descriptor that is open for writing, and execve(2)
    // fails with ETXTBSY while one exists.
    assert!(Command::new("cp").arg(env!("CARGO_BIN_EXE_wonder-signer")).arg(&program).status().unwrap().success());
    let key = place.0.path().join("public_key.pem");
    fs::write(&key, KEY.verifying_key().to_pem().unwrap()).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    if let Some(limit) = limit {
        command.args(["prlimit", limit]);
    }
    command.arg(&program).args([
        "simulate",
        "--plain",
        "--listen",
        "127.0.0.1:0",
        "--app-id",
        APP_ID,
        "--public-key-file",
    ]);
    command.arg(&key).arg("--state").arg(path).env_clear().env("PATH", "/usr/bin:/bin");
    if limit.is_none() && rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let ended = command.output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_file_without_write_access_or_room_is_named_with_the_remedy_and_stays_as_it_is() {
    let place = Place::new();
    mode(place.0.path(), 0o755);
    place.world(None).await.stop().await;
    let before = fs::read(place.file()).unwrap();
    let refused = |path: &Path, reason: &str, remedy: &str| {
        let (code, said) = line_of(&place, path, None);
        let start =
            format!("wonder-signer: start: --state {}: cannot be opened for reading and writing: ", path.display());
        let rest = said.strip_prefix(&start).unwrap_or_else(|| panic!("{said}")).to_lowercase();
        assert!(code == Some(64) && rest.starts_with(reason) && rest.ends_with(&format!("; {remedy}\n")), "{said}");
    };
    let remedy = "give the user of this process write access to the file, and to its directory where the file is new";
    for bits in [0o444, 0o600, 0o000] {
        mode(&place.file(), bits);
        refused(&place.file(), "permission denied", remedy);
    }
    // A new file in a directory of another user, and in one that cannot be entered.
    let directory = place.0.path().join("closed");
    fs::create_dir(&directory).unwrap();
    mode(&directory, 0o755);
    if rustix::process::geteuid().is_root() {
        refused(&directory.join("state"), "permission denied", remedy);
    }
    mode(&directory, 0o000);
    refused(&directory.join("state"), "permission denied", remedy);
    mode(&directory, 0o755);
    assert_eq!(fs::read(place.file()).unwrap(), before);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "nothing is left");

    // No room for a new file, absent or empty: nothing is left that would not be a state file.
    let new = directory.join("new");
    for is_there in [false, true] {
        if is_there {
            fs::write(&new, "").unwrap();
        }
        let (code, said) = line_of(&place, &new, Some("--fsize=65536"));
        let start = format!("wonder-signer: start: --state {}: cannot be read or written: ", new.display());
        assert!(code == Some(1) && said.starts_with(&start), "{said}");
        assert!(said.ends_with("; make room on the disk, or name a file on another one\n"), "{said}");
        assert_eq!(fs::metadata(&new).map_or(0, |new| new.len()), 0);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), usize::from(is_there));
    }
}

/// Opens a copy of a state file as a simulator does; returns the numbers of orders in it.
async fn opened(content: &[u8]) -> Result<usize, StateError> {
    let place = Place::new();
    fs::write(place.file(), content).unwrap();
    let state = Arc::new(StateFile::open(&place.file())?);
    let options = Options { tls: false, state: Some(state), ..Options::default() };
    match Simulator::bind(options).await {
        Ok(_) => {}
        Err(BindError::State(error)) => return Err(error),
        Err(error) => panic!("{error}"),
    }
    Ok(place.world(None).await.all_orders().await.as_array().unwrap().len())
}

#[test]
fn a_file_that_is_cut_or_changed_anywhere_is_refused_or_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = Place::new();
    let whole = runtime.block_on(async {
        let world = place.world(None).await;
        for at in 0..30 {
            world.order(&format!("INV-{at}"), "1").await;
        }
        world.stop().await;
        fs::read(place.file()).unwrap()
    });
    let judge = |content: &[u8]| match runtime.block_on(opened(content)) {
        Ok(orders) => {
            if orders == 30 {
                Ok(())
            } else {
                Err(TestCaseError::fail(format!("{orders} orders")))
            }
        }
        Err(StateError::Damaged(_) | StateError::Foreign | StateError::Format(_)) => Ok(()),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 60, ..ProptestConfig::default() });
    let length = whole.len();
    runner.run(&(1..length), |end| judge(&whole[..end])).unwrap();
    // Most bytes are of pages that are not in use, so half of the changes are near the beginning.
    let places = prop_oneof![0..length, 0..length.min(4096), 0..512_usize];
    runner
        .run(&(places, 1..=255_u8), |(at, change)| {
            let mut content = whole.clone();
            content[at] ^= change;
            judge(&content)
        })
        .unwrap();
}
