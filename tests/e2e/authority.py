"""Test certificate authorities, made with openssl."""

import pathlib

from machine import run


class Authority:
    """`directory` receives the files of the authority and of every certificate that it issues."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        # An empty configuration, because openssl adds default extensions otherwise.
        self.settings = self.directory / "openssl.cnf"
        self.settings.write_text("[req]\ndistinguished_name = name\n[name]\n")
        self.certificate, self.key = self._make(
            name, name, ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"], "ec", []
        )

    def issue(self, name, dns, common="", algorithm="ec"):
        """Certificate and key files for a DNS name, with a common name."""
        extensions = ["basicConstraints=critical,CA:FALSE", f"subjectAltName=DNS:{dns}"]
        signer = ["-CA", self.certificate, "-CAkey", self.key]
        return self._make(name, common or dns, extensions, algorithm, signer)

    def _make(self, name, common, extensions, algorithm, signer):
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        kinds = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
        words = ["req", "-x509", "-config", self.settings, "-newkey", *kinds[algorithm], "-noenc", "-days", "2"]
        words += ["-subj", f"/CN={common}", "-keyout", key, "-out", certificate, *signer]
        extensions = [*extensions, "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid:always"]
        run("openssl", *words, *(word for extension in extensions for word in ("-addext", extension)))
        return certificate, key
