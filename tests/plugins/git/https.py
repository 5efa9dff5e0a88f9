"""A Git host over HTTPS, with a password, on this machine: `git http-backend` behind a server of ours."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


class GitHost:
    """What has been asked of the host, and where it is."""

    def __init__(self) -> None:
        self.origin = ""
        self.fetches = 0
        """POSTs to git-upload-pack that are not about refs."""
        self.redirect_to = ""


@asynccontextmanager
async def git_host(
    root: Path, folder: Path, username: str, token: str, *, scheme: str = "https"
) -> AsyncIterator[tuple[GitHost, Path]]:
    """Serves the repositories below `root`; yields the host and its certificate."""
    certificate_file, key_file = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    host = GitHost()
    wanted = "Basic " + base64.b64encode(f"{username}:{token}".encode()).decode()

    async def answer(request: web.Request) -> web.Response:
        if host.redirect_to:
            return web.Response(status=302, headers={"Location": host.redirect_to + request.path_qs})
        if request.headers.get("Authorization") != wanted:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        body = await request.read()
        host.fetches += b"command=fetch" in body
        return await asyncio.to_thread(_backend, root, request, body)

    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app, scheme=scheme)
    await server.start_server(ssl=context if scheme == "https" else None)
    try:
        host.origin = f"{scheme}://127.0.0.1:{server.port}"
        yield host, certificate_file
    finally:
        await server.close()


def _backend(root: Path, request: web.Request, body: bytes) -> web.Response:
    environ = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": "",  # aiohttp has decompressed it
        "CONTENT_LENGTH": str(len(body)),
    }
    said = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True, check=True).stdout
    head, _, content = said.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    return web.Response(status=status, headers=headers, body=content)
