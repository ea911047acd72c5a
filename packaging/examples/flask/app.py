"""A login page in Flask: it checks the password, and mfad's own page asks for the second factor.

    (umask 077 && mfad service add portal --config mfad.toml --return-url http://localhost:5000/back > portal.key)
    pip install -r requirements.txt
    MFAD_URL=http://localhost:8080 MFAD_SERVICE=portal MFAD_KEY_FILE=portal.key flask run

Then open http://localhost:5000 and sign in as alice, password alice.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import jwt
import requests
from flask import Flask, abort, redirect, render_template_string, request, session, url_for
from werkzeug.security import check_password_hash, generate_password_hash

MFAD = os.environ["MFAD_URL"].rstrip("/")
SERVICE = os.environ["MFAD_SERVICE"]
KEY = Path(os.environ["MFAD_KEY_FILE"]).read_text().strip()
TOKEN_KEYS = jwt.PyJWKClient(f"{MFAD}/.well-known/jwks.json", timeout=10)
# Your own people stand here.
PEOPLE = {name: generate_password_hash(name) for name in ("alice", "bob", "carol")}

app = Flask(__name__)
# A key of one's own for each start: whoever is signed in then signs in again.
app.secret_key = secrets.token_bytes(32)
app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_SECURE=MFAD.startswith("https:"))

PAGE = """<!doctype html><html lang="en"><title>Portal</title>
{% if text %}<p role="status">{{ text }}</p>{% endif %}
{% if link %}<p><a href="{{ link }}">Set up a second factor</a></p>{% endif %}
{% if user %}<p>Hello {{ user }}</p><form method="post" action="/logout"><button>Sign out</button></form>
{% else %}<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form>{% endif %}"""


def page(text="", status=200, link=""):
    return render_template_string(PAGE, text=text, link=link, user=session.get("user")), status


def mfad(method, path, **body):
    """Asks mfad. Whatever goes wrong here lets nobody in."""
    try:
        answer = requests.request(
            method,
            f"{MFAD}/api/v1/mfa{path}",
            headers={"Authorization": f"Bearer {KEY}"},
            json=body or None,
            allow_redirects=False,
            timeout=10,
        )
        answer.raise_for_status()
        return answer.json()
    except requests.RequestException as error:
        app.logger.error("mfad: %s", error)
        abort(503, "The second factor cannot be asked for at the moment.")


def proved(token, user, challenge_id):
    """Whether mfad says, for this service, that this person has answered this challenge."""
    try:
        whole = jwt.decode_complete(
            token,
            TOKEN_KEYS.get_signing_key_from_jwt(token).key,
            algorithms=["ES256"],
            issuer=MFAD,
            audience=SERVICE,
            options={"require": ["iss", "sub", "aud", "iat", "exp"]},
        )
    except jwt.PyJWTError as error:
        app.logger.error("mfad's token: %s", error)
        return False
    claims = whole["payload"]
    return (
        whole["header"].get("typ") == "mfa+jwt"
        and claims["sub"] == user
        and claims.get("challenge_id") == challenge_id
    )


def digest(state):
    return hashlib.sha256(state.encode()).hexdigest()


def welcome(user):
    session.clear()
    session["user"] = user
    return redirect(url_for("home"))


@app.get("/")
def home():
    return page()


@app.post("/login")
def login():
    session.clear()
    name, password = request.form.get("name", ""), request.form.get("password", "")
    if name not in PEOPLE or not check_password_hash(PEOPLE[name], password):
        return page("Name or password is not right.", 401)
    state = secrets.token_urlsafe(32)
    challenge = mfad(
        "POST",
        "/challenges",
        subject=name,
        amr=["pwd"],
        state=state,
        return_url=url_for("back", _external=True),
        context={"ip": request.remote_addr, "user_agent": request.user_agent.string, "app": "Portal"},
    )
    match challenge["decision"]:
        case "challenge":
            # The state itself comes back with the browser that answered, and from nowhere else: who begins here and
            # has somebody else answer finds no more than its digest in their cookie.
            session["pending"] = {"user": name, "state": digest(state), "id": challenge["challenge_id"]}
            return redirect(challenge["prompt_url"])
        case "allow":
            return welcome(name)
        case "enroll":
            return page("You need a second factor before you can sign in.", 403, link=f"{MFAD}/")
        case _:
            return page("You may not sign in here.", 403)


@app.get("/back")
def back():
    pending = session.pop("pending", None)
    # What the browser brings is only compared: who signs in stands in the session.
    if not pending or not hmac.compare_digest(pending["state"], digest(request.args.get("state", ""))):
        return page("This sign-in was not begun here. Start again.", 400)
    outcome = mfad("GET", f"/challenges/{pending['id']}")
    if not outcome.get("token") or not proved(outcome["token"], pending["user"], pending["id"]):
        return page("The second factor was not confirmed. Start again.", 401)
    return welcome(pending["user"])


@app.post("/logout")
def logout():
    session.clear()
    return redirect(url_for("home"))
