# packaging/examples/freeradius with Debian's FreeRADIUS and its own configuration around them.
# shellcheck shell=bash

freeradius_set_up() {
  service radius --sends username
  person ravi u-ravi
  local raddb=$work/raddb one
  radius_port=$(free_port)
  cp -a /etc/freeradius/3.0 "$raddb"
  rm -f "$raddb"/sites-enabled/*
  for one in "$raddb"/mods-enabled/*; do
    # What the site does not need may need what a fresh machine has not: certificates, databases.
    case ${one##*/} in always | attr_filter | expr) ;; *) rm "$one" ;; esac
  done
  sed "s|http://127.0.0.1:8080|$base_by_address|" "$examples/freeradius/mfad-module" >"$raddb/mods-enabled/mfad"
  sed -e "s|mfad_sk_REPLACE_ME|$(<"$work/radius.key")|; s|ipaddr = \*|ipaddr = 127.0.0.1|; s|port = 1812|port = $radius_port|" \
    "$examples/freeradius/mfad-site" >"$raddb/sites-enabled/mfad"
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
}

freeradius_tests_without_mfad() {
  holds "freeradius: without mfad, everybody is rejected" radius_rejects "$(right ravi)"
}

freeradius_keeps_secret() {
  ! grep -r -e "$1" -e "$(<"$work/radius.key")" "$work/raddb/log" "$work/freeradius.log"
}
