"""Does all that mfad is for with the one that runs as a unit, from within its network.

    nsenter --net=... python3 unit.py prepare FOLDER    makes what /etc/mfad is to hold
    nsenter --net=... python3 unit.py use FOLDER        sets up all of Alice's factors; the server must run
    nsenter --net=... python3 unit.py again FOLDER      looks whether she still has them
"""

import json
import os
import pathlib
import sys

from around import Alice, Key, NameServer, access_token, b64, certificates, promises, raise_loopback, settings, smtp_server


def overview(alice):
    status, text = alice.ask("GET", "/api/v1/me/mfa")
    assert status == 200, (status, text)
    return sorted(device["type"] for device in json.loads(text)["devices"])


def main():
    what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if what == "prepare":
        certificates(folder)
        (folder / "secret").write_text(b64(os.urandom(48)))
        (folder / "mfad.toml").write_text(settings("/etc/mfad"))
        return
    alice = Alice(access_token((folder / "secret").read_bytes()))
    if what == "use":
        raise_loopback()
        names = NameServer()
        names.start()
        promises(alice, Key(folder), smtp_server(folder), names)
    print(*overview(alice))


main()
