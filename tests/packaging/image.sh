# The image of packaging/Dockerfile, built and run by podman: without a network, in a root that cannot be written.
# shellcheck shell=bash disable=SC2154

# Its own images and containers, apart from this machine's.
engine() {
  STORAGE_DRIVER=vfs podman --runtime runc --cgroup-manager cgroupfs --root "$work/images" --runroot "$work/containers" \
    --tmpdir "$work/engine" "$@"
}
of_container() { engine inspect --format "$1" mfad; }

is_built() { engine build --isolation chroot --file "$root/packaging/Dockerfile" --tag mfad "$dist"; }

holds_nothing_else() {
  engine create --name looked-at mfad
  engine export looked-at | tar -tf - | sort | tee /dev/stderr >"$work/held"
  engine rm looked-at
  # The folders of the others are made for the engine's own mounts.
  not grep -vE '^(mfad|var/|var/lib/|var/lib/mfad/|(dev|etc|proc|run|sys)/.*)$' "$work/held"
  grep -qx mfad "$work/held"
}

runs() {
  # Limits that no machine has to raise, as an engine would.
  engine run --detach --name mfad --read-only --cap-drop all --security-opt no-new-privileges --network none \
    --ulimit nofile=4096:4096 --ulimit nproc=1000:1000 \
    --volume mfad:/var/lib/mfad --volume "$work/site:/etc/mfad:ro" --volume "$work/resolv.conf:/etc/resolv.conf:ro" mfad
  leader=$(of_container '{{.State.Pid}}')
  raise_loopback
  within_patience "the container" answers readyz
}

raise_loopback() { beside "$python" -c "import sys; sys.path.insert(0, '$here'); import around; around.raise_loopback()"; }

is_an_ordinary_user() {
  local status=/proc/$leader/status
  grep -q '^Uid:[[:space:]]65532[[:space:]]65532' "$status"
  grep -q '^CapEff:[[:space:]]0000000000000000' "$status"
  grep -q '^NoNewPrivs:[[:space:]]1' "$status"
}

ends_in_good_order() {
  engine stop --time "$PATIENCE" mfad
  [[ $(of_container '{{.State.ExitCode}}') == 0 ]]
  engine logs mfad
  not grep -iE '"level":"(WARN|ERROR)".*(denied|not permitted)' <(engine logs mfad 2>&1)
}

goes_on_in_a_new_container() {
  engine rm mfad
  runs
  leader=$(of_container '{{.State.Pid}}')
  grep -q totp <(alice again)
}

# Runs when all ends, however it ends.
finish_image() {
  local status=$?
  engine rm --all --force --time 1 >/dev/null 2>&1 || true
  (exit "$status")
  finish
}

image_tests() {
  trap finish_image EXIT
  mkdir -p "$work/site"
  "$python" "$here/unit.py" prepare "$work/site" || fail "nothing can be prepared"
  echo 'nameserver 127.0.0.1' >"$work/resolv.conf"
  chown 65532:65532 "$work/site/secret" "$work/site/ca.pem"
  chmod 600 "$work/site/secret"
  strictly "the recipe makes an image" is_built
  strictly "it holds the binary and a folder for its data" holds_nothing_else
  strictly "it serves in a root that cannot be written" runs
  ((failed == 0)) || return 0
  leader=$(of_container '{{.State.Pid}}')
  strictly "it does all that it is for, contained" alice use
  strictly "it is an ordinary user without any capability" is_an_ordinary_user
  strictly "it ends in good order" ends_in_good_order
  strictly "another container goes on with its data" goes_on_in_a_new_container
}
