#!/usr/bin/env python3
"""Encrypted private keys, made by openssl in each form: the accepted ones sign, the others get the command that converts them, and no output
has a part of a key or a passphrase.

    tests/e2e/encrypted_keys.py PROGRAM

Needs openssl."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

APP_ID = "1f0e5b52-6c0a-4a55-9a0e-2f6b8d0c7e11"
PASSPHRASE = "mArKeR pass phrase"
ORIGIN = "http://127.0.0.1:1"
CONVERT = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in key.pem -out new.pem"

ACCEPTED = [
    f"-v2 {cipher} {derivation}"
    for cipher in ("aes-128-cbc", "aes-256-cbc")
    for derivation in ("-v2prf hmacWithSHA1", "-v2prf hmacWithSHA256", "-v2prf hmacWithSHA512", "-iter 100000", "-scrypt")
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
        checks.passphrase_files()
        checks.keygen()
        checks.running()
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
            (PASSPHRASE + " \n", "a space more", "private_key_file key.pem: is not encrypted with the passphrase"),
        ):
            pathlib.Path("other").write_bytes(content.encode())
            self.rejected(f"a passphrase file with {what}", reason, passphrase="./other")
        self.rejected("no passphrase file", "private_key_passphrase_file", passphrase="")
        self.rejected("a passphrase file that is missing", "private_key_passphrase_file ./none", passphrase="./none")
        self.accepted("a plain key with a passphrase file", key="plain.pem")

    def keygen(self):
        code, text = self.run("keygen", "--out", "made", "--passphrase-file", "passphrase")
        expect(code == 0 and "encrypted" in text, "keygen --passphrase-file", text)
        expect("ENCRYPTED" in pathlib.Path("made/private_key.pem").read_text(), "keygen encrypts the key")
        public = openssl("pkey -in made/private_key.pem -passin file:passphrase -pubout")
        expect(public == pathlib.Path("made/public_key.pem").read_text(), "openssl reads the key of keygen")

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
