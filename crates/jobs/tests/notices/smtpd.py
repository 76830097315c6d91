"""A mail server for tests: aiosmtpd, with STARTTLS and AUTH where a certificate is given.

smtpd.py FOLDER [CERTIFICATE KEY PASSWORD]

Prints its port. What it takes is written to FOLDER as JSON, a file each. Who writes to "later" is put off once, to "never" for good.
"""

import asyncio
import base64
import email
import email.policy
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.taken = 0
        self.put_off = False

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("never@"):
            return "550 5.1.1 no such user here"
        if address.startswith("later@") and not self.put_off:
            self.put_off = True
            return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [
            {
                "type": part.get_content_type(),
                "name": part.get_filename(),
                "id": part["Content-ID"],
                "text": part.get_content() if part.get_content_maintype() == "text" else None,
                "bytes": base64.b64encode(part.get_payload(decode=True)).decode(),
            }
            for part in mail.walk()
            if not part.is_multipart()
        ]
        told = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "user": (session.auth_data or None) and session.auth_data.decode(),
            "headers": {name: str(value) for name, value in mail.items()},
            "parts": parts,
        }
        self.taken += 1
        path = self.folder / f"{self.taken}.json"
        path.with_suffix(".partial").write_text(json.dumps(told))
        path.with_suffix(".partial").rename(path)
        return "250 2.0.0 taken"


def authenticator(password):
    def check(server, session, envelope, mechanism, auth_data):
        if auth_data.login == b"segue" and auth_data.password == password.encode():
            return AuthResult(success=True, auth_data=auth_data.login)
        return AuthResult(success=False, handled=False)

    return check


async def main():
    handler, options = Handler(sys.argv[1]), {}
    if len(sys.argv) > 2:
        _, _, certificate, key, password = sys.argv
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        options = {
            "tls_context": tls,
            "require_starttls": True,
            "auth_required": True,
            "auth_require_tls": True,
            "authenticator": authenticator(password),
        }
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(handler, hostname="localhost", **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started it has gone when this ends.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
