# The package in a Debian of its own: a root by debootstrap, booted by systemd within systemd-nspawn, without a network.
# shellcheck shell=bash disable=SC2154

# The worst exposure that systemd may see in the unit, times ten.
EXPOSURE=15

# inside COMMAND...: in the container, as root.
inside() { nsenter --target "$leader" --mount --uts --ipc --net --pid -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TERM=dumb "$@"; }
# beside COMMAND...: a program of this machine, on the container's network.
beside() { nsenter --target "$leader" --net -- "$@"; }
active() { inside systemctl is-active --quiet "$1"; }
property() { inside systemctl show --property "$2" --value "$1"; }
answers() { beside curl -sf --noproxy '*' "http://127.0.0.1:8080/$1"; }
answers_on_socket() { curl -sf --noproxy '*' --unix-socket "$box/run-mfad.sock" "http://mfad/$1"; }
alice() { beside "$python" "$here/unit.py" "$1" "$work/site"; }
journal() { inside journalctl --quiet --no-pager --unit mfad --output cat; }

make_root() {
  local base=$kept/bookworm
  if [[ ! -e $base.tar ]]; then
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps bookworm "$work/base" >"$work/debootstrap.log" 2>&1 ||
      { tail -n 20 "$work/debootstrap.log" >&2; fail "no Debian can be made"; }
    tar -C "$work/base" -cf "$base.tar.part" .
    mv "$base.tar.part" "$base.tar"
    mv "$work/base" "$work/debian"
  else
    mkdir "$work/debian"
    tar -C "$work/debian" -xf "$base.tar"
  fi
  box=$work/debian
  echo 'nameserver 127.0.0.1' >"$box/etc/resolv.conf"
}

boot() {
  begin nspawn systemd-nspawn --directory="$box" --boot --register=no --keep-unit --quiet --console=pipe \
    --private-network --resolv-conf=off --timezone=off --machine=mfad-test
  within_patience "a booted Debian" has_booted
}

has_booted() {
  leader=$(pgrep --parent "$pid" | head -n 1)
  [[ -n $leader ]] && inside systemctl is-system-running --quiet
}

# package VERSION [LINE]: the package as it would be of that version, with LINE at the end of the configuration file.
package() {
  local tree=$work/package-$1
  rm -rf "$tree"
  dpkg-deb --raw-extract "$dist"/mfad_*_amd64.deb "$tree"
  sed -i "s/^Version: .*/Version: $1/" "$tree/DEBIAN/control"
  if [[ -n ${2:-} ]]; then
    echo "$2" >>"$tree/etc/mfad/mfad.toml"
    (cd "$tree" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
  fi
  dpkg-deb -Znone --root-owner-group --build "$tree" "$box/srv/mfad_$1.deb" >/dev/null
}

install_package() { inside dpkg --install "$@" "/srv/mfad_$version.deb"; }

is_installed_and_waits() {
  grep -q 'systemctl enable --now mfad' "$work/installed"
  [[ $(inside systemctl is-enabled mfad.service || true) == disabled ]]
  [[ $(inside systemctl is-enabled mfad.socket || true) == disabled ]]
  not active mfad.service
  [[ $(inside getent passwd mfad | cut -d: -f6,7) == /var/lib/mfad:/usr/sbin/nologin ]]
  [[ $(inside stat -c '%U:%G %a' /var/lib/mfad) == 'mfad:mfad 700' ]]
  [[ -z $(inside dpkg --verify mfad) ]]
  grep -q '/etc/mfad/mfad.toml' <(inside dpkg-query --show --showformat='${Conffiles}' mfad)
}

brings_its_manual() {
  grep -q MFAD_PUBLIC_URL <(inside zcat /usr/share/man/man1/mfad-serve.1.gz)
  inside test -s /usr/share/man/man1/mfad-service-add.1.gz
  inside bash -c 'set -e; source /usr/share/bash-completion/completions/mfad; complete -p mfad'
  inside test -s /usr/share/zsh/vendor-completions/_mfad
  inside test -s /usr/share/fish/vendor_completions.d/mfad.fish
}

units_are_sound() { inside systemd-analyze verify --man=no /usr/lib/systemd/system/mfad.service /usr/lib/systemd/system/mfad.socket; }

is_confined() {
  inside systemd-analyze security --offline=true --threshold=$EXPOSURE /usr/lib/systemd/system/mfad.service | tee "$work/exposure" | tail -n 1
}

configure() {
  mkdir -p "$work/site"
  alice prepare || fail "nothing can be prepared"
  local file
  for file in secret ca.pem; do install -m 600 "$work/site/$file" "$box/etc/mfad/$file"; done
  inside chown mfad:mfad /etc/mfad/secret /etc/mfad/ca.pem
  { cat "$work/site/mfad.toml"; echo 'data-dir = "/var/lib/mfad"'; } >"$box/etc/mfad/mfad.toml"
}

starts_and_says_so() {
  inside systemctl enable --now mfad.service
  active mfad.service
  [[ $(property mfad StatusText) == Serving ]]
  [[ -n $(property mfad WatchdogTimestamp) ]]
  answers readyz
}

runs_as_the_unit_says() {
  local main
  main=$(property mfad MainPID)
  [[ $(inside ps -o user= -p "$main") == mfad ]]
  inside grep -q '^Seccomp:[[:space:]]2' "/proc/$main/status"
  inside grep -q '^CapEff:[[:space:]]0000000000000000' "/proc/$main/status"
  # Nothing that it wanted was refused.
  not grep -iE 'denied|not permitted|core dumps|undumpable|no orders' <(journal)
}

reloads_without_a_new_process() {
  local before
  before=$(property mfad MainPID)
  inside systemctl reload mfad
  within_patience "the reload" bash -c "nsenter -t $leader -m -p -n -- journalctl -q -u mfad -o cat | grep 'settings were read again'"
  [[ $(property mfad MainPID) == "$before" && $(property mfad StatusText) == Serving ]]
  answers readyz
}

# A process that stands still feeds no watchdog.
is_started_anew_when_it_stands_still() {
  local before
  inside mkdir -p /run/systemd/system/mfad.service.d
  printf '[Service]\nWatchdogSec=1\nRestartSec=100ms\n' >"$work/soon.conf"
  inside tee /run/systemd/system/mfad.service.d/soon.conf <"$work/soon.conf" >/dev/null
  inside systemctl daemon-reload
  inside systemctl restart mfad
  before=$(property mfad MainPID)
  # As long as it goes well, it is left alone.
  sleep 3
  [[ $(property mfad MainPID) == "$before" && $(property mfad NRestarts) == 0 ]]
  inside kill -STOP "$before"
  within_patience "a new process" has_started_anew
  within_patience "its answer" answers readyz
  inside rm -r /run/systemd/system/mfad.service.d
  inside systemctl daemon-reload
  inside systemctl restart mfad
}

has_started_anew() { (($(property mfad NRestarts) > 0)); }

is_left_alone_with_wrong_settings() {
  inside systemctl stop mfad
  inside mv /etc/mfad/mfad.toml /etc/mfad/kept
  echo 'no-such-setting = 1' >"$box/etc/mfad/mfad.toml"
  not inside systemctl start mfad
  sleep 3
  [[ $(property mfad ActiveState) == failed && $(property mfad ExecMainStatus) == 78 ]]
  inside mv /etc/mfad/kept /etc/mfad/mfad.toml
  inside systemctl reset-failed mfad
  inside systemctl start mfad
}

takes_its_key_from_root() {
  inside systemctl stop mfad
  inside install -D -m 600 /var/lib/mfad/master.key /etc/credstore/mfad.master-key
  inside rm /var/lib/mfad/master.key
  inside systemctl start mfad
  grep -q totp <(alice again)
  not inside test -e /var/lib/mfad/master.key
}

takes_an_encrypted_key() {
  inside systemctl stop mfad
  inside mkdir -p /etc/credstore.encrypted /etc/systemd/system/mfad.service.d
  inside systemd-creds setup
  inside systemd-creds encrypt --with-key=host --name=master-key /etc/credstore/mfad.master-key /etc/credstore.encrypted/mfad.master-key
  inside rm /etc/credstore/mfad.master-key
  printf '[Service]\nLoadCredentialEncrypted=master-key:/etc/credstore.encrypted/mfad.master-key\n' >"$box/etc/systemd/system/mfad.service.d/key.conf"
  inside systemctl daemon-reload
  inside systemctl start mfad
  grep -q totp <(alice again)
}

# In the way of the README: systemd asks, somebody answers, and mfad alone hears it.
waits_for_a_passphrase() {
  local passphrase='the horse of the box is correct'
  inside systemctl stop mfad
  inside systemd-creds decrypt --name=master-key /etc/credstore.encrypted/mfad.master-key /var/lib/mfad/master.key
  inside chown mfad:mfad /var/lib/mfad/master.key
  inside chmod 600 /var/lib/mfad/master.key
  inside rm /etc/credstore.encrypted/mfad.master-key /etc/systemd/system/mfad.service.d/key.conf
  printf '%s\n' "$passphrase" >"$box/srv/passphrase"
  chmod 600 "$box/srv/passphrase"
  inside mfad master-key protect --config /etc/mfad/mfad.toml --new-passphrase-file /srv/passphrase
  rm "$box/srv/passphrase"
  [[ $(inside stat -c '%U:%G %a' /var/lib/mfad/master.key) == 'mfad:mfad 600' ]]
  # The units that the README shows, as they stand there.
  "$python" - "$root/README.md" "$box/etc/systemd/system" <<'PY'
import pathlib, re, sys, textwrap
text = pathlib.Path(sys.argv[1]).read_text()
shown = next(t for t in re.findall(r"```ini\n(.*?)```", text, re.S) if "mfad-passphrase.socket" in t)
parts = re.split(r"^# (.*)$", textwrap.dedent("  " + shown.lstrip()), flags=re.M)[1:]
folder = pathlib.Path(sys.argv[2])
for name, unit in zip(parts[::2], parts[1::2]):
    name = "mfad.service.d/passphrase.conf" if name.startswith("systemctl edit") else name.rsplit("/", 1)[1]
    (folder / name).write_text(unit)
PY
  inside systemctl daemon-reload
  inside systemctl start --no-block mfad
  within_patience "the question" is_asked
  not active mfad.service
  local ask socket
  ask=$(inside sh -c 'ls /run/systemd/ask-password/ask.*')
  socket=$(inside sed -n 's/^Socket=//p' "$ask")
  printf '%s' "$passphrase" | inside /usr/lib/systemd/systemd-reply-password 1 "$socket"
  within_patience "a start" active mfad.service
  grep -q totp <(alice again)
  # Back to a key that root hands over.
  printf '%s\n' "$passphrase" >"$box/srv/passphrase"
  chmod 600 "$box/srv/passphrase"
  inside mfad master-key unprotect --config /etc/mfad/mfad.toml --master-key-passphrase-file /srv/passphrase
  rm "$box/srv/passphrase"
  inside rm -r /etc/systemd/system/mfad.service.d
  inside systemctl daemon-reload
  inside systemctl stop mfad mfad-passphrase.socket
  inside systemctl start mfad
  grep -q totp <(alice again)
}

is_asked() { inside sh -c 'ls /run/systemd/ask-password/ask.*' >/dev/null 2>&1; }

is_called_by_its_socket() {
  inside systemctl stop mfad
  inside systemctl start mfad.socket
  not active mfad.service
  ln -sfn "/proc/$leader/root/run/mfad.sock" "$box/run-mfad.sock"
  [[ $(inside stat -c '%U:%G %a' /run/mfad.sock) == 'root:mfad 660' ]]
  answers_on_socket healthz
  active mfad.service
  # The setting "listen" has given way.
  not answers healthz
}

# While it starts anew, whoever asks waits, and is answered.
refuses_nobody_while_it_starts_anew() {
  local round before
  before=$(property mfad MainPID)
  inside systemctl restart mfad &
  for round in $(seq 40); do
    answers_on_socket healthz >/dev/null || { echo "refused in round $round"; return 1; }
    sleep 0.02
  done
  wait $!
  [[ $(property mfad MainPID) != "$before" ]]
  inside systemctl stop mfad.socket mfad.service
  inside systemctl start mfad.service
}

is_upgraded() {
  local before settings
  before=$(property mfad MainPID)
  settings=$(md5sum <"$box/etc/mfad/mfad.toml")
  package 9.0.1
  version=9.0.1 install_package
  active mfad.service
  [[ $(property mfad MainPID) != "$before" && $(md5sum <"$box/etc/mfad/mfad.toml") == "$settings" ]]
  grep -q totp <(alice again)
}

asks_before_it_replaces_settings() {
  local settings
  settings=$(md5sum <"$box/etc/mfad/mfad.toml")
  package 9.0.2 '# A word more.'
  # Nobody is there to answer, and that is no yes.
  not inside dpkg --install /srv/mfad_9.0.2.deb </dev/null
  [[ $(md5sum <"$box/etc/mfad/mfad.toml") == "$settings" ]]
  version=9.0.2 install_package --force-confold
  inside grep -q 'A word more' /etc/mfad/mfad.toml.dpkg-dist
  [[ $(md5sum <"$box/etc/mfad/mfad.toml") == "$settings" ]]
  grep -q totp <(alice again)
}

is_removed_and_leaves_what_is_kept() {
  inside dpkg --remove mfad
  not active mfad.service
  not inside test -e /usr/bin/mfad
  inside test -s /var/lib/mfad/mfad.redb
  inside test -s /etc/mfad/mfad.toml
  [[ $(property mfad LoadState) == masked ]]
}

comes_back_with_all_of_it() {
  version=9.0.2 install_package --force-confold
  inside systemctl start mfad
  grep -q totp <(alice again)
}

is_purged() {
  inside rm /etc/mfad/secret /etc/mfad/ca.pem
  inside dpkg --purge mfad
  not inside test -e /var/lib/mfad
  not inside test -e /etc/mfad
  inside getent passwd mfad >/dev/null
  [[ $(property mfad LoadState) == not-found ]]
  [[ -z $(inside systemctl --failed --no-legend) ]]
}

debian_tests() {
  make_root
  boot
  version=$(dpkg-deb --field "$dist"/mfad_*_amd64.deb Version)
  cp "$dist"/mfad_*_amd64.deb "$box/srv/mfad_$version.deb"
  install_package >"$work/installed" 2>&1 || { cat "$work/installed" >&2; fail "the package cannot be installed"; }
  strictly "the package installs, and waits to be configured" is_installed_and_waits
  strictly "manual and completions are there" brings_its_manual
  strictly "systemd finds nothing wrong with the units" units_are_sound
  strictly "systemd's measure of exposure is below $EXPOSURE tenths" is_confined
  sed 's/^/    /' "$work/last"
  configure
  strictly "it starts, and says when it answers" starts_and_says_so
  strictly "it does all that it is for, confined" alice use
  strictly "it runs as the unit says, and misses nothing" runs_as_the_unit_says
  strictly "it reloads without a new process" reloads_without_a_new_process
  strictly "it is started anew when it stands still" is_started_anew_when_it_stands_still
  strictly "it is left alone where its settings are wrong" is_left_alone_with_wrong_settings
  strictly "root keeps its key, and hands it over" takes_its_key_from_root
  strictly "a key that systemd has encrypted is taken" takes_an_encrypted_key
  strictly "systemd asks for its passphrase, and hands it over" waits_for_a_passphrase
  strictly "its socket calls it" is_called_by_its_socket
  strictly "with its socket nobody is refused while it starts anew" refuses_nobody_while_it_starts_anew
  strictly "an upgrade keeps settings and data, and starts it anew" is_upgraded
  strictly "an upgrade asks before it replaces settings" asks_before_it_replaces_settings
  strictly "removed, it leaves settings and data" is_removed_and_leaves_what_is_kept
  strictly "installed again, it goes on with them" comes_back_with_all_of_it
  strictly "purged, it leaves nothing but its user" is_purged
  if ((failed)); then journal | tail -n 40 >&2; fi
  end "$pid"
}
