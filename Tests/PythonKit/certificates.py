# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made when first asked for and removed when the test run ends. No key is ever kept."""

import atexit
import base64
import dataclasses
import datetime
import functools
import ipaddress
import pathlib
import shutil
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Credential:
    """A certificate (with the chain below the root, where there is one) and its key, as files."""

    name: str
    certificate: x509.Certificate
    certificate_path: pathlib.Path
    key_path: pathlib.Path

    @property
    def hash(self) -> str:
        """As in `verify_certificate_hash` and in XFCC's Hash."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def spki(self) -> str:
        """As in `verify_certificate_spki`."""
        key = self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(key)
        return base64.b64encode(digest.finalize()).decode()

    def as_config(self):
        return {
            "certificate_chain": {"filename": str(self.certificate_path)},
            "private_key": {"filename": str(self.key_path)},
        }


@functools.cache
def directory() -> pathlib.Path:
    made = pathlib.Path(tempfile.mkdtemp(prefix="apus-test-certificates-"))
    atexit.register(shutil.rmtree, made, True)
    return made


def _write(name, certificates, key):
    certificate_path, key_path = directory() / f"{name}.pem", directory() / f"{name}.key"
    certificate_path.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return Credential(name, certificates[0], certificate_path, key_path)


def new_key(kind="ec"):
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


class Authority:
    """A root (or, with `parent`, an intermediate) that issues."""

    def __init__(self, name, parent=None):
        self.name = name
        self.parent = parent
        self._key = new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(parent.certificate.subject if parent else subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _DAY)
            .not_valid_after(now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
        )
        self.certificate = builder.sign(parent._key if parent else self._key, hashes.SHA256())
        self.path = _write(name, [self.certificate], self._key).certificate_path

    def chain(self):
        """This authority and those above it, without the root."""
        return [] if self.parent is None else [self.certificate, *self.parent.chain()]

    def issue(
        self, name, *, uris=(), dns=(), ips=(), other_names=(), subject=None, days=(-1, 10), key=None, usage="both",
        organization=None, key_kind="ec", subject_alternative_name=None,
    ) -> Credential:
        """A leaf. `days` is its validity relative to now; `usage` is `server`, `client`, `both`, `email` or None."""
        key = key or new_key(key_kind)
        now = datetime.datetime.now(datetime.UTC)
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, subject or name)]
        if organization:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(attributes))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        names = [x509.UniformResourceIdentifier(u) for u in uris] + [x509.DNSName(d) for d in dns]
        names += [x509.IPAddress(ipaddress.ip_address(a)) for a in ips] + list(other_names)
        if subject_alternative_name is not None:
            # Raw bytes, for names no library would make.
            oid = x509.ObjectIdentifier("2.5.29.17")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, subject_alternative_name), critical=False)
        elif names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usages = {
            "server": [ExtendedKeyUsageOID.SERVER_AUTH],
            "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
            "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
            "email": [ExtendedKeyUsageOID.EMAIL_PROTECTION],
        }
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages[usage]), critical=False)
        return _write(name, [builder.sign(self._key, hashes.SHA256()), *self.chain()], key)

    def revoke(self, name, *credentials) -> pathlib.Path:
        """A revocation list with these certificates."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - _DAY)
            .next_update(now + 10 * _DAY)
        )
        for credential in credentials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(credential.certificate.serial_number)
                .revocation_date(now - _DAY)
                .build()
            )
        path = directory() / f"{name}.crl"
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path


SPIFFE = "spiffe://mesh.test/ns/default/sa/"


class Material:
    """The usual cast: one trusted authority, one nobody trusts, servers and clients of both."""

    def __init__(self):
        self.ca, self.other_ca = Authority("ca"), Authority("other-ca")
        self.server = self.ca.issue(
            "server", uris=[SPIFFE + "server"], dns=["server.test", "localhost"], ips=["127.0.0.1"]
        )
        self.second = self.ca.issue("second", dns=["second.test"])
        self.wildcard = self.ca.issue("wildcard", dns=["*.wild.test"])
        self.plain = self.ca.issue("plain", dns=["plain.test"])
        self.rsa = self.ca.issue("rsa", dns=["server.test"], key_kind="rsa")
        self.foreign_server = self.other_ca.issue("foreign-server", dns=["server.test"])
        self.expired_server = self.ca.issue("expired-server", dns=["server.test"], days=(-3, -1))
        self.client = self.ca.issue(
            "client", uris=[SPIFFE + "client"], dns=["client.test", "alias.test"], organization="Mesh, Inc"
        )
        self.other_client = self.ca.issue("other-client", uris=[SPIFFE + "intruder"], dns=["intruder.test"])
        self.nameless_client = self.ca.issue("nameless-client")
        self.foreign_client = self.other_ca.issue("foreign-client", uris=[SPIFFE + "client"], dns=["client.test"])
        self.expired_client = self.ca.issue("expired-client", uris=[SPIFFE + "client"], days=(-3, -1))
        self.future_client = self.ca.issue("future-client", uris=[SPIFFE + "client"], days=(1, 3))
        self.server_only_client = self.ca.issue("server-only-client", uris=[SPIFFE + "client"], usage="server")
        self.revoked_client = self.ca.issue("revoked-client", uris=[SPIFFE + "client"])
        self.crl = self.ca.revoke("revoked", self.revoked_client)
        self.intermediate = Authority("intermediate", self.ca)
        self.chained_client = self.intermediate.issue("chained-client", uris=[SPIFFE + "client"])


@functools.cache
def material() -> Material:
    return Material()
