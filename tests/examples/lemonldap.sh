# packaging/examples/lemonldap with Debian's LemonLDAP::NG: its portal, its demo people, its command line.
# shellcheck shell=bash

lemonldap_set_up() {
  service lemonldap --sends username
  person dwho u-dwho
  local home=$work/lemonldap cli=/usr/share/lemonldap-ng/bin/lemonldap-ng-cli port host=auth.example.com
  port=$(free_port)
  portal=http://$host:$port
  portal_way=(--noproxy '*' --connect-to "$host:$port:127.0.0.1:$port")
  mkdir -p "$home"/{conf,sessions/lock,psessions/lock,cache,captcha,notifications}
  sed "s|/var/lib/lemonldap-ng|$home|g" /etc/lemonldap-ng/lemonldap-ng.ini >"$home/ini"
  sed "s|/var/lib/lemonldap-ng|$home|g" /var/lib/lemonldap-ng/conf/lmConf-1.json >"$home/conf/lmConf-1.json"
  sed "s|REPLACE_ID:mfad_sk_REPLACE_ME@127.0.0.1:8080|lemonldap:$(<"$work/lemonldap.key")@${base_by_address#http://}|" \
    "$examples/lemonldap/mfad.json" >"$home/mfad.json"
  local run=("$cli" -yes 1 -iniFile "$home/ini" "--user=$(id -un)" "--group=$(id -gn)")
  # It says with 0 that there is no server to tell yet.
  "${run[@]}" merge "$home/mfad.json" >"$work/lemonldap-cli.log" 2>&1
  "${run[@]}" set portal "$portal/" >>"$work/lemonldap-cli.log" 2>&1
  cat >"$home/portal.psgi" <<PSGI
use Lemonldap::NG::Portal::Main;
Lemonldap::NG::Portal::Main->run({ configStorage => { confFile => '$home/ini' } });
PSGI
  begin lemonldap plackup --env deployment --host 127.0.0.1 --port "$port" "$home/portal.psgi"
  within_patience "LemonLDAP::NG" curl -sf "${portal_way[@]}" "$portal/"
}

# The token of the form on standard input.
form_token() {
  grep -o 'name="token" value="[^"]*"' | cut -d '"' -f 4
}

# Signs dwho in with password and code, up to a cookie or none.
lemonldap_signs_in() {
  local token
  new_jar
  token=$(web "${portal_way[@]}" "$portal/" | form_token)
  token=$(web "${portal_way[@]}" -d user=dwho -d password="$1" -d "token=$token" "$portal/" | form_token)
  web "${portal_way[@]}" -o /dev/null -d "code=$2" -d "token=$token" "$portal/rest2fcheck"
  grep -q $'\tlemonldap\t' "$jar"
}

# The same, where the password is right and the form for the code has come: what is refused is the code.
lemonldap_refuses() {
  local token
  new_jar
  token=$(web "${portal_way[@]}" "$portal/" | form_token)
  web "${portal_way[@]}" -d user=dwho -d password=dwho -d "token=$token" "$portal/" >"$work/lemonldap.form"
  grep -q rest2fcheck "$work/lemonldap.form" || return 1
  token=$(form_token <"$work/lemonldap.form")
  web "${portal_way[@]}" -o /dev/null -d "code=$1" -d "token=$token" "$portal/rest2fcheck"
  ! grep -q $'\tlemonldap\t' "$jar"
}

lemonldap_needs_the_password() {
  ! lemonldap_signs_in wrong "$1"
}

lemonldap_tests() {
  local code
  code=$(right dwho)
  holds "lemonldap: a wrong password lets nobody in, whatever the code" lemonldap_needs_the_password "$code"
  holds "lemonldap: password and right code bring a session" lemonldap_signs_in dwho "$code"
  holds "lemonldap: the same code brings none the second time" lemonldap_refuses "$code"
  holds "lemonldap: a wrong code brings none" lemonldap_refuses "$(wrong dwho)"
}

lemonldap_tests_without_mfad() {
  holds "lemonldap: without mfad, nobody gets a session" lemonldap_refuses "$(right dwho)"
}
