"""Counts the answers, and how many say that it was too often: a server that mostly says so is not tested.

For the page of a sign-in, puts what is there into the place of what is made up: the token of a page that waits for an
answer, and sometimes an answer that is right. Everything else of an example stays as it was made."""

import atexit
import collections
import json
import os
import urllib.error
import urllib.request

import schemathesis

BASE = os.environ["MFAD_BASE"]
SERVICE = os.environ.get("MFAD_SERVICE_TOKEN")
CODES = os.environ.get("MFAD_BACKUP_CODES", "").split()
# A page takes five wrong answers.
USES = 4


class Answers:
    all, too_often = 0, collections.Counter()


@schemathesis.hook
def after_call(context, case, response):
    Answers.all += 1
    if response.status_code == 429:
        Answers.too_often[f"{case.operation.label}: {response.json()['code']}"] += 1


@atexit.register
def write_counts():
    with open(os.environ["MFAD_COUNTS"], "w", encoding="utf-8") as file:
        print(Answers.all, Answers.too_often.total(), file=file)
        for what, count in Answers.too_often.most_common():
            print(count, what, file=file)


class Page:
    token, uses = "", 0

    @classmethod
    def of_somebody(cls):
        if cls.uses == 0:
            asking = {"subject": "olga", "amr": ["pwd"], "return_url": f"{BASE}/demo/returned", "remember": True}
            request = urllib.request.Request(
                f"{BASE}/api/v1/mfa/challenges",
                json.dumps(asking).encode(),
                {"Content-Type": "application/json", "Authorization": f"Bearer {SERVICE}"},
            )
            try:
                with urllib.request.urlopen(request) as answer:
                    opened = json.load(answer)
            except urllib.error.HTTPError as refused:
                # The minute's changes are used up. What was there before will do.
                if refused.code != 429:
                    raise
                return cls.token
            assert opened["decision"] == "challenge", opened
            cls.token, cls.uses = opened["prompt_url"].split("#")[1], USES
        cls.uses -= 1
        return cls.token


@schemathesis.hook
def map_body(context, body):
    if SERVICE and isinstance(body, dict) and isinstance(body.get("prompt"), str):
        body["prompt"] = Page.of_somebody()
        if CODES and body.get("method") == "backup_code" and isinstance(body.get("code"), str):
            body["code"] = CODES.pop()
    return body
