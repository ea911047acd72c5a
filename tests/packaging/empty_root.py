"""Runs mfad in a root that holds nothing but itself, its data and /etc/resolv.conf, and does there all that it is for.

    unshare --net python3 empty_root.py MFAD FOLDER

Ends with 1 where anything is not as it should be.
"""

import os
import pathlib
import subprocess
import sys
import time

from around import PATIENCE, Alice, Key, NameServer, access_token, b64, certificates, promises, raise_loopback, settings, smtp_server

USER = 65532


def furnish(root, program, ca, secret):
    (root / "etc").mkdir(parents=True)
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    data = root / "data"
    data.mkdir(mode=0o700)
    (root / "mfad").write_bytes(program.read_bytes())
    (root / "mfad").chmod(0o755)
    (data / "ca.pem").write_bytes(ca.read_bytes())
    (data / "secret").write_bytes(secret)
    (data / "secret").chmod(0o600)
    (data / "mfad.toml").write_text(settings("/data") + 'data-dir = "/data/store"\n')
    for path in [data, *data.iterdir()]:
        os.chown(path, USER, USER)
    return ["mfad", "etc", "data"]


def main():
    program, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    raise_loopback()
    names = NameServer()
    names.start()
    certificates(folder)
    letters = smtp_server(folder)
    root, secret = folder / "root", b64(os.urandom(48)).encode()
    furnished = furnish(root, program, folder / "ca.pem", secret)
    command = ["/usr/sbin/chroot", f"--userspec={USER}:{USER}", str(root), "/mfad", "serve", "--config", "/data/mfad.toml"]
    with open(folder / "mfad.log", "wb") as log:
        server = subprocess.Popen(command, env={}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            alice, patience = Alice(access_token(secret)), time.monotonic() + PATIENCE
            while True:
                try:
                    assert alice.ask("GET", "/readyz")[0] == 200
                    break
                except (ConnectionError, AssertionError):
                    assert server.poll() is None and time.monotonic() < patience, "the server does not answer"
                    time.sleep(0.05)
            print("ok: it starts as an ordinary user, and is ready")
            promises(alice, Key(folder), letters, names)
            server.terminate()
            assert server.wait(PATIENCE) == 0, server.returncode
            print("ok: it ends in good order")
        finally:
            server.kill()
            server.wait()
    assert sorted(path.name for path in root.iterdir()) == sorted(furnished)
    assert [path.name for path in (root / "etc").iterdir()] == ["resolv.conf"]
    print("ok: the root is as empty as before")


try:
    main()
except BaseException:
    log = pathlib.Path(sys.argv[2]) / "mfad.log"
    print(log.read_text() if log.exists() else "it was never started", file=sys.stderr)
    raise
