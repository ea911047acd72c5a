# packaging/examples/flask: a login over HTTP, the answer given on mfad's own page.
# shellcheck shell=bash

flask_set_up() {
  flask_port=$(free_port)
  flask=http://localhost:$flask_port
  service flask --return-url "$flask/back"
  person alice
  begin flask env MFAD_URL="$base" MFAD_SERVICE=flask MFAD_KEY_FILE="$work/flask.key" \
    "$venv/bin/flask" --app "$examples/flask/app.py" run --port "$flask_port"
  within_patience "Flask" curl -sf "$flask/"
}

# Gives name and password; where the browser is sent is in $sent_to, what it shows in $work/flask.page.
flask_begins() {
  new_jar
  sent_to=$(web -o "$work/flask.page" -w '%{redirect_url}' -d "name=$1" -d "password=$2" "$flask/login")
}

# Does what mfad's page does with a code; $sent_to is where that sends the browser, if anywhere.
answer_prompt() {
  sent_to=$(jq -n --arg prompt "${1#*#}" --arg code "$2" '{$prompt, $code, method: "totp"}' |
    web -H 'Content-Type: application/json' --data @- "$base/api/v1/prompt/verify" | jq -r '.return_to // ""')
}

# Answers on mfad's page; $sent_to is where that sends the browser, if anywhere.
flask_answers() {
  flask_begins alice alice
  [[ $sent_to == "$base"/* ]] && answer_prompt "$sent_to" "$1"
}

flask_knows() {
  web "$flask/" | grep -q "Hello $1"
}

flask_signs_in() {
  flask_answers "$1" && web -o /dev/null "$sent_to" && flask_knows alice
}

flask_refuses() {
  flask_answers "$1" && [[ -z $sent_to ]] && ! flask_knows alice
}

flask_needs_the_password() {
  flask_begins alice wrong
  [[ -z $sent_to ]] && grep -q 'not right' "$work/flask.page"
}

# Carol has no factor.
flask_sends_carol_to_set_one_up() {
  flask_begins carol carol
  [[ -z $sent_to ]] && grep -q "href=\"$base/\"" "$work/flask.page" && ! flask_knows carol
}

flask_checks_the_state() {
  flask_answers "$1" && [[ $sent_to == "$flask"/*state=* ]] && web -o /dev/null "${sent_to/state=/state=x}" && ! flask_knows alice
}

# Somebody begins with Alice's password and has her answer in her own browser: what they have is no way in, nor is
# what mfad's page tells them once she has answered.
flask_is_for_the_browser_that_answered() {
  local theirs prompt
  flask_begins alice alice
  prompt=$sent_to
  theirs=$jar
  new_jar
  answer_prompt "$sent_to" "$1" && [[ $sent_to == "$flask"/*challenge_id=* ]] && web -o /dev/null "$sent_to" || return 1
  ! flask_knows alice || return 1
  jar=$theirs
  sent_to=$(jq -n --arg prompt "${prompt#*#}" '{$prompt}' |
    web -H 'Content-Type: application/json' --data @- "$base/api/v1/prompt/open" | tee /dev/stderr | jq -r '.return_to // ""')
  web -o /dev/null "${sent_to:-$flask/back}" && ! flask_knows alice
}

flask_tests() {
  local code
  holds "flask: a wrong password asks for no code" flask_needs_the_password
  code=$(right alice)
  holds "flask: the right code on mfad's page signs in, by a token that PyJWT believes" flask_signs_in "$code"
  holds "flask: the same code does not sign in again" flask_refuses "$code"
  holds "flask: a wrong code does not sign in" flask_refuses "$(wrong alice)"
  holds "flask: whoever needs a factor and has none is told where to set one up" flask_sends_carol_to_set_one_up
  holds "flask: somebody who comes back with another state is not let in" flask_checks_the_state "$(right alice)"
  holds "flask: an answer in another browser does not let in the one that began" flask_is_for_the_browser_that_answered "$(right alice)"
}

flask_is_closed() {
  [[ -z $(flask_begins alice alice) ]] && grep -q 'cannot be asked' "$work/flask.page" && ! flask_knows alice
}

flask_tests_without_mfad() {
  holds "flask: without mfad, nobody signs in" flask_is_closed
}
