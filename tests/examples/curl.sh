# packaging/examples/curl, as it stands. It waits for the next half minute, so it runs beside the others.
# shellcheck shell=bash

curl_set_up() {
  service script --sends username
  token curt >"$work/curt.token"
  begin curl-example env MFAD_URL="$base" TOKEN_FILE="$work/curt.token" KEY_FILE="$work/script.key" \
    "$examples/curl/totp" curt
  curl_pid=$pid
}

curl_verifies() {
  wait "$curl_pid"
  local status=$?
  cat "$work/curl-example.log"
  [[ $status -eq 0 ]] && grep -q '^verified: true, by totp$' "$work/curl-example.log"
}

curl_ends_with_22() {
  printf 'mfad_sk_unknown' >"$work/unknown.key"
  local status=0
  # Its person has an app by now, so that a second set-up is refused, and the script stops there.
  MFAD_URL=$base TOKEN_FILE=$work/curt.token KEY_FILE=$work/unknown.key "$examples/curl/totp" curt || status=$?
  [[ $status -ne 0 ]] && ! grep -q verified "$work/last"
}

curl_tests() {
  holds "curl: the script sets up an app and verifies its code" curl_verifies
  holds "curl: it stops where mfad refuses" curl_ends_with_22
}
