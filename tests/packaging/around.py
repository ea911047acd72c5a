"""What stands around a server under test: a name server, an SMTP server, and Alice, who has an app, a key and a mailbox."""

import base64
import email
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import queue
import re
import socket
import ssl
import struct
import subprocess
import threading
import time

from aiosmtpd.controller import Controller

PUBLIC_URL = "https://mfa.example.test"
ISSUER = "https://login.example.test"
MAIL_HOST = "mail.example.test"
PORT = 8080
PATIENCE = 20


def raise_loopback():
    request = struct.pack("16sH22x", b"lo", 0x1 | 0x40)
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, request)


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, check=True, capture_output=True).stdout


class NameServer(threading.Thread):
    """Knows one name; says of all others that they do not exist."""

    def __init__(self):
        super().__init__(daemon=True)
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def run(self):
        while True:
            query, client = self.socket.recvfrom(512)
            at, labels = 12, []
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            name, kind = ".".join(labels), struct.unpack("!H", query[at + 1 : at + 3])[0]
            self.asked.append(name)
            known = name == MAIL_HOST
            found = known and kind == 1
            answer = query[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, int(found), 0, 0) + query[12 : at + 5]
            if found:
                answer += struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton("127.0.0.1")
            self.socket.sendto(answer, client)


class Letters:
    """What aiosmtpd hands over."""

    def __init__(self):
        self.arrived = queue.Queue()

    async def handle_DATA(self, _server, _session, envelope):
        self.arrived.put(email.message_from_bytes(envelope.content))
        return "250 Taken"


def certificates(folder):
    """One for MAIL_HOST; its authority's is in FOLDER/ca.pem."""
    (folder / "names").write_text(f"subjectAltName=DNS:{MAIL_HOST}\nbasicConstraints=CA:false\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    authority = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-set_serial", 2]
    openssl("req", "-x509", *key, "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-subj", "/CN=Authority", "-days", 2)
    openssl("req", *key, "-keyout", folder / "mail.key", "-out", folder / "mail.csr", "-subj", "/CN=mail")
    openssl("x509", "-req", "-in", folder / "mail.csr", *authority, "-extfile", folder / "names", "-out", folder / "mail.pem", "-days", 2)


def smtp_server(folder):
    """Speaks TLS from the first byte, with the certificate in FOLDER."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "mail.pem", folder / "mail.key")
    letters = Letters()
    Controller(letters, hostname="127.0.0.1", port=465, ssl_context=context).start()
    return letters


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def access_token(secret):
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": "alice", "aud": PUBLIC_URL, "iat": now, "exp": now + 600,
              "email": "alice@example.test", "email_verified": True, "client_id": "portal"}
    signed = b64(json.dumps({"alg": "HS256", "typ": "at+jwt"}).encode()) + "." + b64(json.dumps(claims).encode())
    return signed + "." + b64(hmac.digest(secret, signed.encode(), "sha256"))


class Alice:
    def __init__(self, token):
        self.token = token

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE)
        headers = {"Authorization": "Bearer " + self.token, "Host": "mfa.example.test"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def mfa(self, path, body=None):
        status, text = self.ask("POST", "/api/v1/me/mfa/" + path, body)
        assert status == 200, (path, status, text)
        return json.loads(text)


def totp(secret, step):
    digest = hmac.digest(base64.b32decode(secret + "=" * (-len(secret) % 8)), struct.pack("!Q", step), "sha1")
    at = digest[-1] & 15
    return "%06d" % ((struct.unpack("!I", digest[at : at + 4])[0] & 0x7FFFFFFF) % 10**6)


class Key:
    """A security key: ES256, and attestation of the kind that says nothing."""

    def __init__(self, folder):
        self.pem = folder / "key.pem"
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.pem)
        point = openssl("pkey", "-in", self.pem, "-pubout", "-outform", "DER")[-64:]
        self.cose = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + point[:32] + b"\x22\x58\x20" + point[32:]
        self.id = os.urandom(32)

    def answer(self, kind, options, response):
        client_data = json.dumps({"type": kind, "challenge": options["challenge"], "origin": PUBLIC_URL, "crossOrigin": False})
        response["clientDataJSON"] = b64(client_data.encode())
        return client_data.encode(), {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key",
                                      "clientExtensionResults": {}, "response": response}

    def register(self, begun):
        options = begun["publicKey"]
        data = hashlib.sha256(options["rp"]["id"].encode()).digest() + b"\x41" + struct.pack("!I", 0) + bytes(16)
        data += struct.pack("!H", len(self.id)) + self.id + self.cose
        attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58" + bytes([len(data)]) + data
        _, credential = self.answer("webauthn.create", options, {"attestationObject": b64(attestation), "transports": ["usb"]})
        return {"device_id": begun["device_id"], "challenge_id": begun["challenge_id"], "credential": credential}

    def prove(self, begun):
        options = begun["publicKey"]
        data = hashlib.sha256(options["rpId"].encode()).digest() + b"\x01" + struct.pack("!I", 1)
        client_data, credential = self.answer("webauthn.get", options, {"authenticatorData": b64(data), "userHandle": None})
        signed = data + hashlib.sha256(client_data).digest()
        credential["response"]["signature"] = b64(openssl("dgst", "-sha256", "-sign", self.pem, data=signed))
        return {"challenge_id": begun["challenge_id"], "credential": credential}


def settings(folder):
    """As the file says them; what they name is in FOLDER."""
    return (
        f'listen = "127.0.0.1:{PORT}"\npublic-url = "{PUBLIC_URL}"\n'
        f'issuer = "{ISSUER}"\nhs256-secret-file = "{folder}/secret"\nca-file = "{folder}/ca.pem"\n'
        f'smtp-url = "smtps://{MAIL_HOST}:465"\nmail-from = "mfad@example.test"\n'
    )


def promises(alice, key, letters, names):
    status, page = alice.ask("GET", "/")
    assert status == 200 and page.startswith("<!doctype html>"), page
    part = re.search(r'src="(/[^"]+\.js)"', page)[1]
    status, script = alice.ask("GET", part)
    assert status == 200 and script, part
    print("ok: the settings page and its parts are served")

    secret = alice.mfa("totp/enable")["secret"]
    alice.mfa("totp/confirm", {"code": totp(secret, int(time.time()) // 30)})
    print("ok: an authenticator app is set up")

    alice.mfa("webauthn/register/complete", key.register(alice.mfa("webauthn/register/begin")))
    first, second = (alice.mfa("webauthn/verify/begin") for _ in range(2))
    assert first["publicKey"]["challenge"] != second["publicKey"]["challenge"]
    assert alice.mfa("webauthn/verify/complete", key.prove(second))["code"]
    print("ok: a security key is set up, and answers a challenge")

    alice.mfa("email/enable")
    while True:
        letter = letters.arrived.get(timeout=PATIENCE)
        text = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
        code = re.search(r"(?m)^\s*(\d{6})\s*$", text.get_payload(decode=True).decode())
        if code:
            break
    alice.mfa("email/confirm", {"code": code[1]})
    assert MAIL_HOST in names.asked, names.asked
    print("ok: a code is mailed by host name over TLS, and taken")
