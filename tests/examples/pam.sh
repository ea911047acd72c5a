# packaging/examples/pam with Debian's PAM: a stack of its own beside those of the machine.
# shellcheck shell=bash

pam_set_up() {
  service pam --sends username
  person pamela u-pamela
  pam_stack=mfad-example-$$
  litter+=("/etc/pam.d/$pam_stack")
  sed -e "s|/usr/bin/mfad|$mfad|; s|http://127.0.0.1:8080|$base_by_address|; s|/etc/mfad/pam.key|$work/pam.key|" \
    -e "s|quiet|quiet log=$work/pam.log|" "$examples/pam/sshd" >"/etc/pam.d/$pam_stack"
  grep -q "$mfad pam --url $base_by_address --key-file $work/pam.key" "/etc/pam.d/$pam_stack" || fail "pam/sshd has other words"
}

pam_asks() {
  pamtester "$pam_stack" pamela authenticate <<<"$1"
}

pam_refuses() {
  ! pam_asks "$1"
}

pam_says() {
  grep -q "$1" "$work/pam.log"
}

pam_tests() {
  local code
  code=$(right pamela)
  holds "pam: the right code lets in" pam_asks "$code"
  holds "pam: the same code does not let in again" pam_refuses "$code"
  holds "pam: a wrong code does not let in" pam_refuses "$(wrong pamela)"
  holds "pam: no code does not let in" pam_refuses ""
  chmod 640 "$work/pam.key"
  holds "pam: a key that others can read lets nobody in" pam_refuses "$(right pamela)"
  holds "pam: and the log says what to do" pam_says "chmod 600"
  chmod 600 "$work/pam.key"
}

pam_tests_without_mfad() {
  local code
  code=$(right pamela)
  holds "pam: without mfad, nobody comes in" pam_refuses "$code"
  holds "pam: and the log says why" pam_says "the server cannot be asked"
  holds "pam: no code stands in the log" pam_keeps_secret "$code"
}

pam_keeps_secret() {
  ! grep -q -e "$1" -e "$(<"$work/pam.key")" "$work/pam.log"
}
