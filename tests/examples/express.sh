# packaging/examples/express: a login over HTTP, with the form of its own.
# shellcheck shell=bash

express_set_up() {
  express_port=$(free_port)
  express=http://localhost:$express_port
  service express --unknown allow
  person bob
  begin express env MFAD_URL="$base" MFAD_SERVICE=express MFAD_KEY_FILE="$work/express.key" \
    PORT="$express_port" "${node[@]}" "$express_home/app.js"
  within_patience "Express" curl -sf "$express/"
}

# Gives name and password; the page that comes is in $work/express.page.
express_begins() {
  new_jar
  web -o "$work/express.page" -d "name=$1" -d "password=$2" "$express/login"
}

express_knows() {
  web "$express/" | grep -q "Hello $1"
}

express_signs_in() {
  express_begins bob bob
  web -o /dev/null -d method=totp -d "code=$1" "$express/code"
  express_knows bob
}

express_refuses() {
  express_begins bob bob
  grep -q 'action="/code"' "$work/express.page" || return 1
  web -o "$work/express.page" -d method=totp -d "code=$1" "$express/code"
  grep -q 'action="/code"' "$work/express.page" && ! express_knows bob
}

express_needs_the_password() {
  express_begins bob wrong
  ! grep -q 'action="/code"' "$work/express.page"
}

# Carol has no factor, and mfad has never met her.
express_lets_carol_in() {
  express_begins carol carol
  express_knows carol
}

express_takes_a_code_after_a_slip() {
  express_begins bob bob
  web -o /dev/null -d method=totp -d "code=$2" "$express/code"
  web -o /dev/null -d method=totp -d "code=$1" "$express/code"
  express_knows bob
}

express_asks_only_after_the_password() {
  new_jar
  web -o /dev/null -d method=totp -d "code=$1" "$express/code"
  ! express_knows bob
}

express_tests() {
  local code
  holds "express: a wrong password asks for no code" express_needs_the_password
  code=$(right bob)
  holds "express: a code without a password signs nobody in" express_asks_only_after_the_password "$code"
  holds "express: the right code signs in, by a token that jose believes" express_signs_in "$code"
  holds "express: the same code does not sign in again" express_refuses "$code"
  holds "express: a wrong code does not sign in" express_refuses "$(wrong bob)"
  holds "express: whoever needs no factor and has none signs in" express_lets_carol_in
  holds "express: a slip can be put right" express_takes_a_code_after_a_slip "$(right bob)" "$(wrong bob)"
}

express_is_closed() {
  express_begins bob bob
  grep -q 'cannot be asked' "$work/express.page" && ! express_knows bob
}

express_tests_without_mfad() {
  holds "express: without mfad, nobody signs in" express_is_closed
}
