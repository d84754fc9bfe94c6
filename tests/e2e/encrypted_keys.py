#!/usr/bin/env python3
"""Private keys made by openssl and ssh-keygen in each form: the accepted ones sign, the others get the command that converts them, which is
run, and no output has a part of a key or a passphrase.

    tests/e2e/encrypted_keys.py PROGRAM

Needs openssl and, for OpenSSH's own form, ssh-keygen. As root, it also tries the loss of the permission to read a key."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
PASSPHRASE = "mArKeR pass phrase"
NOBODY = 65534
ORIGIN = "http://127.0.0.1:1"
CONVERT = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem"

ACCEPTED = [
    f"-v2 {cipher} {derivation}"
    for cipher in ("aes-128-cbc", "aes-256-cbc")
    for derivation in ("-v2prf hmacWithSHA1", "-v2prf hmacWithSHA224", "-v2prf hmacWithSHA256", "-v2prf hmacWithSHA384", "-v2prf hmacWithSHA512", "-iter 100000", "-scrypt")
]
NOT_ACCEPTED = [
    ("-v1 PBE-SHA1-3DES", "is encrypted with a scheme that is not accepted"),
    ("-v2 des3", "is encrypted with a scheme that is not accepted"),
    ("-v2 aes-192-cbc", "is encrypted with a scheme that is not accepted"),
    ("-v2 camellia-256-cbc", "is encrypted with a scheme that is not accepted"),
    ("-v2 aes-256-cbc -v2prf hmacWithSHA512-256", "is encrypted with a scheme that is not accepted"),
    ("-v2 aes-256-cbc -iter 10000001", "takes too much time or memory"),
]


def main(program):
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        checks = Checks(program)
        for options in ACCEPTED:
            openssl(f"pkcs8 -topk8 {options} -in plain.pem -out key.pem -passout file:passphrase")
            checks.accepted(f"openssl pkcs8 -topk8 {options}")
        for options, reason in NOT_ACCEPTED:
            openssl(f"pkcs8 -topk8 {options} -in plain.pem -out key.pem -passout file:passphrase")
            checks.converted(f"openssl pkcs8 -topk8 {options}", reason)
        openssl("rsa -aes256 -traditional -in plain.pem -out key.pem -passout file:passphrase")
        checks.converted("openssl rsa -traditional", "is encrypted in the old form (Proc-Type: 4,ENCRYPTED)")
        checks.other_forms()
        checks.passphrase_files()
        checks.keygen()
        checks.running()
        if os.getuid() == 0:
            checks.permission()
        checks.no_secret()


class Checks:
    def __init__(self, program):
        self.program, self.output = program, ""
        openssl("genrsa -out plain.pem 2048")
        for name in ("passphrase", "same_passphrase"):
            pathlib.Path(name).write_text(PASSPHRASE + "\n")
        der = openssl("pkey -in plain.pem -pubout -outform DER", text=False)
        self.fingerprint = openssl("dgst -sha256", input=der).split()[-1][:8]

    def run(self, *words, environment=()):
        """Exit code and output of a command; the output is searched for secrets at the end."""
        ended = subprocess.run([self.program, *words], capture_output=True, text=True, env=dict(environment), timeout=120)
        self.output += ended.stdout + ended.stderr
        return ended.returncode, ended.stdout + ended.stderr

    def check(self, key="key.pem", passphrase="./passphrase"):
        environment = {
            "WONDER_SIGNER_UPSTREAM__ENVIRONMENT": "custom",
            "WONDER_SIGNER_UPSTREAM__ORIGIN": ORIGIN,
            "WONDER_SIGNER_LOG__LEVEL": "trace",
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID": APP_ID,
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE": key,
        }
        if passphrase:
            environment["WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_PASSPHRASE_FILE"] = passphrase
        return self.run("check", environment=environment)

    def accepted(self, what, **how):
        code, text = self.check(**how)
        expect(code == 0 and self.fingerprint in text, f"{what} is accepted", text)

    def rejected(self, what, reason, **how):
        code, text = self.check(**how)
        expect(code == 64 and reason in text, f"{what}: {reason}", text)
        return text

    def converted(self, what, reason):
        """The message has the command that converts the key, and the command's result is accepted."""
        text = self.rejected(what, reason)
        expect("private_key_file key.pem" in text and CONVERT in text, f"{what}: file and command are named", text)
        openssl(CONVERT.removeprefix("openssl ") + " -passin file:passphrase -passout file:same_passphrase")
        self.accepted(f"{what}, converted", key="new.pem")

    def other_forms(self):
        """Each message has the command for that form, which is run here on the file of the message."""
        p12 = "pkcs12 -in key.p12 -nocerts -nodes -out key.pem"
        for file, make, convert, remark in (
            ("key.der", "pkey -in plain.pem -outform DER -out key.der", "pkey -inform DER -in key.der -out key.pem", "is binary (DER)"),
            ("key.p12", "pkcs12 -export -nocerts -inkey plain.pem -out key.p12 -passout file:passphrase", p12, "is a PKCS#12 file"),
            ("key.pvk", "rsa -in plain.pem -outform PVK -pvk-none -out key.pvk", "rsa -inform PVK -in key.pvk -out key.pem", "is a PVK file"),
            (
                "key.blob",
                "rsa -in plain.pem -outform MSBLOB -out key.blob",
                "rsa -inform MSBLOB -in key.blob -out key.pem",
                "is a key blob of Microsoft's CryptoAPI",
            ),
        ):
            openssl(make)
            text = self.rejected(file, remark, key=file, passphrase="")
            expect(f"private_key_file {file}" in text and f"openssl {convert}" in text, f"{file}: file and command are named", text)
            openssl(convert + (" -passin file:passphrase" if file == "key.p12" else ""))
            self.accepted(f"{file}, converted", passphrase="")
        if shutil.which("ssh-keygen"):
            pathlib.Path("copy").write_bytes(pathlib.Path("plain.pem").read_bytes())
            os.chmod("copy", 0o600)
            subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "", "-f", "copy"], check=True, capture_output=True)
            text = self.rejected("OpenSSH's own form", "is a key in OpenSSH's own form", key="copy", passphrase="")
            expect("ssh-keygen -p -m PEM -f copy" in text, "the command of ssh-keygen is named", text)
            subprocess.run(["ssh-keygen", "-q", "-p", "-m", "PEM", "-f", "copy", "-P", "", "-N", ""], check=True, capture_output=True)
            self.accepted("OpenSSH's own form, converted", key="copy", passphrase="")
        openssl("ecparam -name prime256v1 -genkey -noout -out ec.pem")
        openssl("pkcs8 -topk8 -nocrypt -in ec.pem -out ec8.pem")
        openssl("genpkey -algorithm ed25519 -out ed.pem")
        openssl("genrsa -out short.pem 1024")
        openssl("genrsa -out long.pem 5120")
        for file, reason in (
            ("ec.pem", "is a key of another algorithm, an RSA key is needed (wonder-signer keygen --out keys makes one)"),
            ("ec8.pem", "is a key of another algorithm, an RSA key is needed (wonder-signer keygen --out keys makes one)"),
            ("ed.pem", "is a key of another algorithm, an RSA key is needed (wonder-signer keygen --out keys makes one)"),
            ("short.pem", "has a modulus of 1024 bits, 2048 to 4096 are accepted; make a new key pair (wonder-signer keygen --out keys)"),
            ("long.pem", "bits, 2048 to 4096 are accepted; make a new key pair (wonder-signer keygen --out keys)"),
        ):
            self.rejected(file, f"private_key_file {file}: ", key=file, passphrase="")
            self.rejected(file, reason, key=file, passphrase="")
        code, text = self.run("keygen", "--out", "keys")
        expect(code == 0, "the command of the message makes a key", text)
        self.fingerprint, before = text.split("fingerprint ")[1][:8], self.fingerprint
        self.accepted("the key of keygen", key="keys/private_key.pem", passphrase="")
        self.fingerprint = before

    def passphrase_files(self):
        openssl("pkcs8 -topk8 -v2 aes-256-cbc -in plain.pem -out key.pem -passout file:passphrase")
        for content, what in (
            (PASSPHRASE, "no line end"),
            (PASSPHRASE + "\n", "a line end"),
            (PASSPHRASE + "\r\n", "CR and LF"),
            (PASSPHRASE + "\nsecond line\n", "a second line"),
        ):
            pathlib.Path("other").write_bytes(content.encode())
            self.accepted(f"a passphrase file with {what}", passphrase="./other")
        for content, what, reason in (
            ("", "nothing", "private_key_passphrase_file ./other: holds no passphrase"),
            ("\n" + PASSPHRASE, "an empty first line", "private_key_passphrase_file ./other: holds no passphrase"),
            (PASSPHRASE.swapcase(), "a wrong passphrase", "private_key_file key.pem: is not encrypted with the passphrase"),
            ("\r\n" + PASSPHRASE, "an empty first line with CR", "private_key_passphrase_file ./other: holds no passphrase"),
            (PASSPHRASE + "\0", "a NUL byte", "private_key_passphrase_file ./other: holds no passphrase: its first line has a NUL byte"),
            ("x" * 1024, "too much", "private_key_passphrase_file ./other: holds no passphrase: its first line has more than 1023 bytes"),
            ("x" * 5000, "far too much", "private_key_passphrase_file ./other: is larger than 4 KiB"),
            (PASSPHRASE + " \n", "a space more", "private_key_file key.pem: is not encrypted with the passphrase"),
        ):
            pathlib.Path("other").write_bytes(content.encode())
            self.rejected(f"a passphrase file with {what}", reason, passphrase="./other")
        # openssl keeps the CR as a part of the passphrase.
        pathlib.Path("other").write_bytes(PASSPHRASE.encode() + b"\r\n")
        openssl("pkcs8 -topk8 -v2 aes-256-cbc -in plain.pem -out cr.pem -passout file:other")
        self.accepted("a key that openssl encrypted with a file with CR and LF", key="cr.pem", passphrase="./other")
        self.rejected("no passphrase file", "private_key_passphrase_file", passphrase="")
        self.rejected("a passphrase file that is missing", "private_key_passphrase_file ./none", passphrase="./none")
        self.accepted("a plain key with a passphrase file", key="plain.pem")

    def keygen(self):
        code, text = self.run("keygen", "--out", "made", "--passphrase-file", "passphrase")
        expect(code == 0 and "encrypted" in text, "keygen --passphrase-file", text)
        expect("ENCRYPTED" in pathlib.Path("made/private_key.pem").read_text(), "keygen encrypts the key")
        public = openssl("pkey -in made/private_key.pem -passin file:passphrase -pubout")
        expect(public == pathlib.Path("made/public_key.pem").read_text(), "openssl reads the key of keygen")
        for number, (content, what) in enumerate((
            (PASSPHRASE.encode(), "no line end"),
            (PASSPHRASE.encode() + b"\r\n", "CR and LF"),
            (PASSPHRASE.encode() + b"\nsecond\n", "a second line"),
            (b"mArKeR \xff\xfe\n", "bytes that are not UTF-8"),
            (b"x" * 1023 + b"\n", "the longest line"),
        )):
            pathlib.Path("other").write_bytes(content)
            os.chmod("other", 0o644 if number == 0 else 0o600)
            code, text = self.run("keygen", "--out", f"made{number}", "--passphrase-file", "other")
            expect(code == 0, f"keygen with a passphrase file with {what}", text)
            warned = "warning: the passphrase file is readable by everyone on this machine; chmod 0600 or 0400" in text
            expect(warned == (number == 0), f"keygen warns of the mode of the file: {warned}", text)
            openssl(f"pkey -in made{number}/private_key.pem -passin file:other -noout")
            print(f"ok: openssl decrypts it with the same file with {what}")
            self.fingerprint, before = text.split("fingerprint ")[1][:8], self.fingerprint
            self.accepted("and so does the sidecar", key=f"made{number}/private_key.pem", passphrase="./other")
            self.fingerprint = before
        ended = subprocess.run(
            [self.program, "keygen", "--out", "piped", "--passphrase-file", "-"], input=b"from a pipe\n", capture_output=True, env={}
        )
        expect(ended.returncode == 0, "keygen --passphrase-file -", ended)
        pathlib.Path("other").write_text("from a pipe")
        openssl("pkey -in piped/private_key.pem -passin file:other -noout")
        for content, reason in (
            (b"", "--passphrase-file other: holds no passphrase: its first line is empty"),
            (b"a\0b\n", "--passphrase-file other: holds no passphrase: its first line has a NUL byte"),
            ("mArKeR".encode("utf-16"), "--passphrase-file other: holds no passphrase: its first line has a NUL byte"),
            (b"x" * 1024, "--passphrase-file other: holds no passphrase: its first line has more than 1023 bytes"),
            (b"x" * 5000, "--passphrase-file other: is larger than 4 KiB"),
        ):
            pathlib.Path("other").write_bytes(content)
            code, text = self.run("keygen", "--out", "none", "--passphrase-file", "other")
            expect(code == 64 and reason in text and not pathlib.Path("none").exists(), f"keygen: {reason}", text)
        code, text = self.run("keygen", "--out", "none", "--passphrase-file", "missing")
        expect(code == 64 and "--passphrase-file missing: cannot be read" in text, "keygen: a missing passphrase file", text)

    def running(self):
        """`run` at the level `trace`: a reload with a wrong passphrase leaves the key in use."""
        pathlib.Path("current").write_text(PASSPHRASE)
        environment = {
            "WONDER_SIGNER_LOG__LEVEL": "trace",
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID": APP_ID,
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE": "key.pem",
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_PASSPHRASE_FILE": "./current",
            "WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY": "0s",
        }
        words = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--environment", "custom", "--origin", ORIGIN]
        with open("log", "wb") as log:
            process = subprocess.Popen([self.program, *words], env=environment, stderr=log)
        try:
            self.line("ready")
            pathlib.Path("current").write_text(PASSPHRASE.swapcase())
            process.send_signal(signal.SIGHUP)
            line = self.line("credential cannot be reloaded; the one read before stays in use")
            expect("is not encrypted with the passphrase" in line["error"], "a reload with a wrong passphrase is an error", line)
            pathlib.Path("current").write_text(PASSPHRASE)
            process.send_signal(signal.SIGHUP)
            expect(self.fingerprint in self.line("credential reloaded")["key"], "a reload with the right passphrase is used")
        finally:
            process.terminate()
            process.wait(60)
        self.output += pathlib.Path("log").read_text()

    def permission(self):
        """A user without rights: a key file that can no longer be read leaves the key in use, and is used again when it can be."""
        for name in (".", "key.pem", "passphrase"):
            os.chown(name, NOBODY, NOBODY)
        subprocess.run(["cp", self.program, "program"], check=True)
        environment = {
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID": APP_ID,
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_FILE": "key.pem",
            "WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY_PASSPHRASE_FILE": "./passphrase",
            "WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY": "0s",
        }
        words = ["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--environment", "custom", "--origin", ORIGIN]
        with open("log", "wb") as log:
            process = subprocess.Popen(["./program", *words], env=environment, stderr=log, user=NOBODY, group=NOBODY, extra_groups=[])
        try:
            self.line("ready")
            os.chown("key.pem", 0, 0)
            os.chmod("key.pem", 0o600)
            process.send_signal(signal.SIGHUP)
            line = self.line("credential cannot be reloaded; the one read before stays in use")
            reason = "key.pem: cannot be read: Permission denied (os error 13); let the user of this program read it"
            expect(reason in line["error"], "a key file whose permission is denied is named", line)
            os.chown("key.pem", NOBODY, NOBODY)
            self.line("credential reloaded")
            print("ok: it is read again when it is permitted, without a signal")
        finally:
            process.terminate()
            process.wait(60)

    def line(self, message):
        """Waits for the last line of the log with this message."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            whole = pathlib.Path("log").read_text().rpartition("\n")[0]
            lines = [json.loads(line) for line in whole.splitlines()]
            found = [line for line in lines if line["message"] == message]
            if found:
                return found[-1]
            time.sleep(0.05)
        sys.exit(f"encrypted_keys: no line {message!r}")

    def no_secret(self):
        key = pathlib.Path("plain.pem").read_text().splitlines()[1:-1]
        secrets = [PASSPHRASE, PASSPHRASE.swapcase(), "mArKeR", "MaRkEr", *key]
        found = [secret for secret in secrets if secret in self.output]
        expect(not found, f"{len(self.output)} bytes of output have no part of a key or a passphrase", found)


def openssl(words, text=True, input=None):
    output = subprocess.run(["openssl", *words.split()], check=True, capture_output=True, input=input).stdout
    return output.decode() if text else output


def expect(holds, what, found=""):
    if not holds:
        sys.exit(f"encrypted_keys: failed: {what} {found}")
    print(f"ok: {what}")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
