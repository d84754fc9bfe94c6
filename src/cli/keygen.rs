//! `keygen`: a key pair in two new files.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use rand::{SeedableRng as _, rngs::StdRng};

use super::{Failure, Outcome, input};
use crate::{config::values::path_text, signing::SigningKey};

const PRIVATE: &str = "private_key.pem";
const PUBLIC: &str = "public_key.pem";

/// Makes an RSA key pair: a private key file (mode 0600), and a public key file for Wonder's portal.
#[derive(Debug, clap::Args)]
#[command(after_help = "Does not overwrite an existing file.

Example:
  wonder-signer keygen --out keys --bits 4096
  wonder-signer keygen --out keys --passphrase-file passphrase")]
pub(super) struct KeygenArgs {
    /// Directory of the two files; created with mode 0700 if it is missing.
    #[arg(long, value_name = "DIR", value_parser = path_text)]
    out: PathBuf,
    /// Bits of the modulus: 2048, 3072 or 4096.
    #[arg(long, default_value = "2048", value_parser = bits)]
    bits: usize,
    /// File whose first line is a passphrase, or - for standard input: encrypts the private key with it (PKCS#8, AES-256-CBC).
    #[arg(long, value_name = "FILE", value_parser = path_text)]
    passphrase_file: Option<PathBuf>,
}

impl KeygenArgs {
    pub(super) fn run(self, out: &mut dyn Write) -> Outcome {
        let (private, public) = (self.out.join(PRIVATE), self.out.join(PUBLIC));
        for path in [&private, &public] {
            // `exists` is false for a dangling symbolic link.
            if fs::symlink_metadata(path).is_ok() {
                return Err(Failure::no(anyhow!("keygen: {}: already exists; choose another --out", path.display())));
            }
        }
        let (mut random, passphrase) = (StdRng::from_entropy(), self.passphrase_file.as_deref());
        let passphrase = passphrase.map(|path| input::passphrase("--passphrase-file", path)).transpose()?;
        let (key, text) = match &passphrase {
            None => SigningKey::generate(&mut random, self.bits)?,
            Some(passphrase) => SigningKey::generate_encrypted(&mut random, self.bits, &passphrase.bytes)?,
        };
        create_directory(&self.out).with_context(|| format!("keygen: --out {}", self.out.display()))?;
        create(&private, text.as_bytes(), 0o600).with_context(|| format!("keygen: {}", private.display()))?;
        if let Err(error) = create(&public, key.verifying_key().to_pem()?.as_bytes(), 0o644) {
            // A private key alone would stop the next attempt. The first failure is the one to report.
            let _ = fs::remove_file(&private);
            return Err(anyhow!(error).context(format!("keygen: {}", public.display())).into());
        }
        let encrypted = if passphrase.is_some() { ", encrypted" } else { "" };
        writeln!(out, "{} (mode 0600{encrypted}, keep it secret)", private.display())?;
        writeln!(out, "{}", public.display())?;
        writeln!(out, "{}", key.verifying_key())?;
        if passphrase.is_some_and(|passphrase| passphrase.is_world_readable) {
            writeln!(out, "warning: the passphrase file is readable by everyone on this machine; chmod 0600 or 0400")?;
        }
        writeln!(out, "next: create an AppID in Wonder's portal, and paste the text of {PUBLIC} as its public key")?;
        Ok(())
    }
}

/// Creates the directory and its missing parents with mode 0700. An existing directory keeps its mode.
fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

/// Creates a file with the whole content, or leaves none. An existing file is an error.
fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
}

fn bits(text: &str) -> Result<usize, &'static str> {
    match text {
        "2048" => Ok(2048),
        "3072" => Ok(3072),
        "4096" => Ok(4096),
        _ => Err("must be 2048, 3072 or 4096"),
    }
}
