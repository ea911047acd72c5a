# packaging/examples/freeradius with Debian's FreeRADIUS and its own configuration around them.
# shellcheck shell=bash

freeradius_set_up() {
  service radius --sends username
  person ravi u-ravi
  person rosa u-rosa
  # Known, and without a factor: what she begins here is not confirmed.
  curl -sSf -o "$work/nora.begun" -X POST -H "Authorization: Bearer $(token u-nora nora)" "$base/api/v1/me/mfa/totp/enable"
  local raddb=$work/raddb one
  radius_port=$(free_port)
  radius_two_steps_port=$(free_port)
  cp -a /etc/freeradius/3.0 "$raddb"
  rm -f "$raddb"/sites-enabled/*
  for one in "$raddb"/mods-enabled/*; do
    # What the site does not need may need what a fresh machine has not: certificates, databases.
    case ${one##*/} in always | attr_filter | expr | files | pap) ;; *) rm "$one" ;; esac
  done
  sed "s|http://127.0.0.1:8080|$base_by_address|" "$examples/freeradius/mfad-module" >"$raddb/mods-enabled/mfad"
  sed -e "s|mfad_sk_REPLACE_ME|$(<"$work/radius.key")|; s|ipaddr = \*|ipaddr = 127.0.0.1|; s|port = 1812|port = $radius_port|" \
    "$examples/freeradius/mfad-site" >"$raddb/sites-enabled/mfad"
  sed -e "s|mfad_sk_REPLACE_ME|$(<"$work/radius.key")|; s|ipaddr = \*|ipaddr = 127.0.0.1|; s|port = 1812|port = $radius_two_steps_port|" \
    "$examples/freeradius/mfad-two-steps" >"$raddb/sites-enabled/mfad-two-steps"
  printf '%s Cleartext-Password := "password-of-%s"\n' ravi ravi rosa rosa nora nora >"$raddb/mods-config/files/authorize"
  sed 's|REPLACE_ME|secret-of-the-vpn|' "$examples/freeradius/mfad-clients" >"$raddb/clients.conf"
  mkdir "$raddb/run" "$raddb/log"
  sed -i -E -e "s|^(localstatedir\|raddbdir) = .*|\1 = $raddb|; s|^logdir = .*|logdir = $raddb/log|" \
    -e "s|^run_dir = .*|run_dir = $raddb/run|; s|^(\s*)(user\|group) = freerad|\1\2 = $(id -un)|" "$raddb/radiusd.conf"
  begin freeradius freeradius -f -l stdout -d "$raddb"
  within_patience "FreeRADIUS" grep -q 'Ready to process requests' "$work/freeradius.log"
}

# Sends the attributes, one an argument, and prints what comes. A refusal is an answer too, and no fault.
radius_asks() {
  printf '%s\n' "$@" | radclient -x -r 1 -t 12 "127.0.0.1:$radius_port" auth secret-of-the-vpn || true
}

radius_logs_in() {
  radtest ravi "$1" "127.0.0.1:$radius_port" 0 secret-of-the-vpn || true
}

radius_accepts() {
  radius_logs_in "$1" | grep 'Received Access-Accept'
}

radius_rejects() {
  radius_logs_in "$1" | grep 'Received Access-Reject'
}

radius_signs() {
  radius_asks 'User-Name = "ravi"' "User-Password = \"$1\"" 'Message-Authenticator = 0x00' |
    sed -n '/Received Access-Reject/,$p' | grep 'Message-Authenticator = 0x'
}

radius_is_silent_without_authenticator() {
  ! printf 'User-Name = "ravi"\nUser-Password = "%s"\n' "$1" |
    radclient -x -r 1 -t 2 "127.0.0.1:$radius_port" auth secret-of-the-vpn | grep 'Received Access'
}

# radius_password NAME PASSWORD: the first of two steps, as it is answered.
radius_password() {
  radius_port=$radius_two_steps_port radius_asks "User-Name = \"$1\"" "User-Password = \"$2\"" 'Message-Authenticator = 0x00'
}

# radius_state NAME: the challenge that is open for them once their password was right.
radius_state() {
  radius_password "$1" "password-of-$1" 2>/dev/null | sed -n '/Received Access-Challenge/,$s/.*State = //p'
}

# radius_code ANSWER STATE NAME CODE: whether the second step is answered so.
radius_code() {
  [[ $2 == 0x* ]] &&
    radius_port=$radius_two_steps_port radius_asks "User-Name = \"$3\"" "User-Password = \"$4\"" "State = $2" \
      'Message-Authenticator = 0x00' | grep "Received Access-$1"
}

radius_rejects_password() {
  radius_password "$1" "$2" | grep 'Received Access-Reject'
}

radius_accepts_password() {
  radius_password "$1" "$2" | grep 'Received Access-Accept'
}

radius_signs_challenge() {
  radius_password ravi password-of-ravi | sed -n '/Received Access-Challenge/,$p' | grep 'Message-Authenticator = 0x'
}

freeradius_two_steps_tests() {
  local his hers code
  holds "freeradius: a wrong password is rejected" radius_rejects_password ravi password-of-rosa
  holds "freeradius: without a second factor, the password is enough where mfad says allow" radius_accepts_password nora password-of-nora
  holds "freeradius: the question for a code is signed" radius_signs_challenge
  his=$(radius_state ravi)
  hers=$(radius_state rosa)
  code=$(right ravi)
  holds "freeradius: a challenge and code of one person let in no other" radius_code Reject "$his" rosa "$code"
  holds "freeradius: nor does their code at the other's challenge" radius_code Reject "$hers" rosa "$code"
  holds "freeradius: an answer without a challenge is rejected" radius_code Reject 0x63686c5f ravi "$code"
  holds "freeradius: a wrong code after the password is rejected" radius_code Reject "$his" ravi "$(wrong ravi)"
  holds "freeradius: password and then the right code are accepted" radius_code Accept "$his" ravi "$code"
  holds "freeradius: the challenge is answered once" radius_code Reject "$his" ravi "$(right ravi)"
  holds "freeradius: no log holds the second step's code" freeradius_keeps_secret "$code"
}

radius_rejects_strange_text() {
  radius_asks 'User-Name = "ravi&code=1"' 'User-Password = "%{User-Name}\"&username=ravi"' 'Message-Authenticator = 0x00' |
    grep 'Received Access-Reject'
}

freeradius_tests() {
  local code
  code=$(right ravi)
  holds "freeradius: a packet without Message-Authenticator is dropped" radius_is_silent_without_authenticator "$code"
  holds "freeradius: the right code is accepted" radius_accepts "$code"
  holds "freeradius: the same code is rejected the second time" radius_rejects "$code"
  holds "freeradius: a wrong code is rejected" radius_rejects "$(wrong ravi)"
  holds "freeradius: no code is rejected" radius_rejects ""
  holds "freeradius: a refusal is signed" radius_signs "$(wrong ravi)"
  holds "freeradius: text with marks of its own stays text" radius_rejects_strange_text
  holds "freeradius: no log holds a code" freeradius_keeps_secret "$code"
  freeradius_two_steps_tests
}

freeradius_tests_without_mfad() {
  holds "freeradius: without mfad, everybody is rejected" radius_rejects "$(right ravi)"
  holds "freeradius: without mfad, a password is not enough" radius_rejects_password nora password-of-nora
}

freeradius_keeps_secret() {
  ! grep -r -e "$1" -e "$(<"$work/radius.key")" "$work/raddb/log" "$work/freeradius.log"
}
