# What the tests of the examples stand on: packages, the server, people, and what is said of it all.
# shellcheck shell=bash

# Seconds that anything may take to be ready, or to end.
PATIENCE=20

passed=0
failed=0

fail() {
  echo "tests/examples/run: $*" >&2
  exit 1
}

# holds PROMISE COMMAND...: says whether the command ends with 0.
holds() {
  local promise=$1
  shift
  if "$@" >"$work/last" 2>&1; then
    passed=$((passed + 1))
    echo "ok: $promise"
  else
    failed=$((failed + 1))
    echo "FAILED: $promise"
    sed 's/^/    /' "$work/last"
  fi
}

# within_patience WHAT COMMAND...: waits until the command ends with 0.
within_patience() {
  local what=$1 end=$((SECONDS + PATIENCE))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "waited for $what in vain"
    sleep 0.1
  done
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# --- what is left behind: nothing ---

pids=()
litter=()

# begin NAME COMMAND...: runs it beside us, its words in a file of its name, until `finish`; `pid` is its number.
begin() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  pid=$!
  pids+=("$pid")
}

# end PID: asks it to end, and makes it.
end() {
  local end=$((SECONDS + PATIENCE))
  kill "$1" 2>/dev/null || return 0
  while kill -0 "$1" 2>/dev/null; do
    ((SECONDS < end)) || kill -9 "$1" 2>/dev/null || true
    sleep 0.1
  done
  wait "$1" 2>/dev/null || true
}

finish() {
  local status=$? one
  trap - EXIT INT TERM
  if [[ -z ${told:-} && -e $work/last ]]; then sed 's/^/    /' "$work/last" >&2; fi
  for one in "${pids[@]}"; do end "$one"; done
  restore_policy
  rm -rf "${litter[@]}"
  exit "$status"
}

# --- packages ---

POLICY=/usr/sbin/policy-rc.d

restore_policy() {
  if [[ -e $POLICY.mfad-kept ]]; then
    mv "$POLICY.mfad-kept" "$POLICY"
  elif [[ -n ${policy_is_ours:-} ]]; then
    rm -f "$POLICY"
  fi
  policy_is_ours=
}

# Installs the Debian packages that are missing, without starting what they bring.
need_packages() {
  local missing=() one
  for one in "$@"; do
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$one" 2>/dev/null) == installed ]] || missing+=("$one")
  done
  ((${#missing[@]})) || return 0
  [[ $EUID -eq 0 ]] || fail "packages are missing, and only root can install them: ${missing[*]}"
  [[ ! -e $POLICY ]] || mv "$POLICY" "$POLICY.mfad-kept"
  policy_is_ours=1
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
  local log=$work/apt.log
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "cannot be installed: ${missing[*]}"; }
  restore_policy
}

# --- the server ---

# Starts mfad, and says in $base where it is.
start_mfad() {
  begin mfad "$mfad" serve --config "$work/mfad.toml"
  mfad_pid=$pid
  within_patience "mfad" curl -sf "$base/healthz"
}

# service NAME FLAGS...: registers a login service, its key in $work/NAME.key.
service() {
  (umask 077 && "$mfad" service add "$@" --config "$work/mfad.toml" >"$work/$1.key" 2>"$work/service.log") ||
    { cat "$work/service.log" >&2; fail "the service $1 cannot be registered"; }
}

# --- people ---

# token SUBJECT [NAME]: an access token of the person's.
token() {
  "$python" - "$1" "${2:-$1}" "$work/issuer.secret" "$base" <<'PY'
import pathlib, sys, time, jwt
subject, name, secret, audience = sys.argv[1:]
now = int(time.time())
claims = {"iss": "https://issuer.example", "sub": subject, "aud": audience, "iat": now, "exp": now + 600,
          "preferred_username": name, "client_id": "portal"}
print(jwt.encode(claims, pathlib.Path(secret).read_text(), "HS256", {"typ": "at+jwt"}))
PY
}

# code_of STEP SECRET: of another implementation than the server's.
code_of() {
  oathtool --totp --base32 --now "@$(($1 * 30))" - <<<"$2"
}

# person NAME [SUBJECT]: sets up an authenticator app for them.
person() {
  local name=$1 bearer secret step
  bearer=$(token "${2:-$1}" "$name")
  secret=$(curl -sSf -X POST -H "Authorization: Bearer $bearer" "$base/api/v1/me/mfa/totp/enable" | jq -er .secret)
  # The code before the current one, so that this one and the next are left to sign in with at once.
  for _ in 1 2; do
    step=$(($(date +%s) / 30 - 1))
    if curl -sSf -o "$work/$name.confirmed" -H "Authorization: Bearer $bearer" -H 'Content-Type: application/json' \
      -d "{\"code\":\"$(code_of "$step" "$secret")\"}" "$base/api/v1/me/mfa/totp/confirm"; then
      echo "$secret" >"$work/$name.secret"
      echo "$step" >"$work/$name.step"
      return
    fi
  done
  fail "$name cannot set up an app"
}

# right NAME: a code that is right now and was not given before; waits for one where all are used up.
right() {
  local name=$1 step now
  now=$(($(date +%s) / 30))
  step=$(($(<"$work/$name.step") + 1))
  ((step >= now)) || step=$now
  until ((step <= $(date +%s) / 30 + 1)); do sleep 0.2; done
  echo "$step" >"$work/$name.step"
  code_of "$step" "$(<"$work/$name.secret")"
}

# wrong NAME: a code that is not right now, nor around now.
wrong() {
  local now taken step wrong=0
  now=$(($(date +%s) / 30))
  taken=$(for step in $((now - 2)) $((now - 1)) "$now" $((now + 1)) $((now + 2)); do
    code_of "$step" "$(<"$work/$1.secret")"
  done)
  while grep -q "$(printf %06d "$wrong")" <<<"$taken"; do wrong=$((wrong + 1)); done
  printf '%06d\n' "$wrong"
}

# --- a browser without pictures ---

# Forgets all cookies.
new_jar() {
  jar=$(mktemp -p "$work")
}

# web ARGUMENTS...: curl with the cookies of $jar.
web() {
  curl -sS --max-time 30 -b "$jar" -c "$jar" "$@"
}
