# packaging/examples/flask: a login over HTTP, the answer given on mfad's own page.
# shellcheck shell=bash

flask_set_up() {
  flask_port=$(free_port)
  flask=http://localhost:$flask_port
  service flask --return-url "$flask/back"
  person alice
  begin flask env MFAD_URL="$base" MFAD_SERVICE="$(service_id flask)" MFAD_KEY_FILE="$work/flask.key" \
    "$venv/bin/flask" --app "$examples/flask/app.py" run --port "$flask_port"
  within_patience "Flask" curl -sf "$flask/"
}

# Gives name and password; prints where the browser is sent.
flask_begins() {
  jar=$(mktemp -p "$work")
  web -o "$work/flask.page" -w '%{redirect_url}' -d "name=$1" -d "password=$2" "$flask/login"
}

flask_knows() {
  web "$flask/" | grep -q "Hello $1"
}

flask_signs_in() {
  local prompt back
  prompt=$(flask_begins alice alice)
  back=$(prompt_answered "$prompt" "$1")
  web -o /dev/null "$back"
  flask_knows alice
}

flask_refuses() {
  local prompt back
  prompt=$(flask_begins alice alice)
  [[ $prompt == "$base"/* ]] || return 1
  back=$(prompt_answered "$prompt" "$1")
  [[ -z $back ]] || return 1
  ! flask_knows alice
}

flask_needs_the_password() {
  [[ -z $(flask_begins alice wrong) ]] && grep -q 'not right' "$work/flask.page"
}

flask_checks_the_state() {
  local prompt back
  prompt=$(flask_begins alice alice)
  back=$(prompt_answered "$prompt" "$1")
  web -o /dev/null "${back/state=/state=x}"
  ! flask_knows alice
}

# Somebody begins with Alice's password and has her answer in her own browser: what they have is no way in.
flask_is_for_the_browser_that_answered() {
  local prompt back theirs
  prompt=$(flask_begins alice alice)
  theirs=$jar
  jar=$(mktemp -p "$work")
  back=$(prompt_answered "$prompt" "$1")
  web -o /dev/null "$back"
  ! flask_knows alice || return 1
  jar=$theirs
  web -o /dev/null "$flask/back?challenge_id=${back#*challenge_id=}"
  web -o /dev/null "$flask/back"
  ! flask_knows alice
}

flask_tests() {
  local code
  holds "flask: a wrong password asks for no code" flask_needs_the_password
  code=$(right alice)
  holds "flask: the right code on mfad's page signs in, by a token that PyJWT believes" flask_signs_in "$code"
  holds "flask: the same code does not sign in again" flask_refuses "$code"
  holds "flask: a wrong code does not sign in" flask_refuses "$(wrong alice)"
  holds "flask: somebody who comes back with another state is not let in" flask_checks_the_state "$(right alice)"
}

flask_is_closed() {
  [[ -z $(flask_begins alice alice) ]] && grep -q 'cannot be asked' "$work/flask.page" && ! flask_knows alice
}

flask_tests_without_mfad() {
  holds "flask: without mfad, nobody signs in" flask_is_closed
}
