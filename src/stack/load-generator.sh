#!/bin/bash
# Workers of Locust for `cloudscale bench --engine locust`: each waits for the master, carries its part of the load, and waits for
# the next one. The same file runs on EC2 (as a systemd unit) and in the embedded region (as the instance's own processes).
set -euo pipefail

version='LOCUST_VERSION'
master=(--master-host 'MASTER_HOST' --master-port 'MASTER_PORT')
workers='WORKERS'

# The embedded region tells its instances where their metadata service is; EC2 has it at the well-known address.
on_ec2() {
  [[ -z "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ]]
}

is_ready() {
  "$1" -c 'import sys; from importlib.metadata import version; sys.exit(version("locust") != sys.argv[1])' "$version" 2>/dev/null
}

install_locust() {
  # On one machine all instances share the packages: the first one installs them while the others wait.
  local folder="${CLOUDSCALE_SHARED:-/opt/cloudscale}"
  mkdir -p "$folder"
  python="$folder/locust-$version/bin/python"
  exec 9>"$folder/locust.lock"
  flock 9
  if ! is_ready "$python"; then
    local base
    # Locust needs Python 3.10; Amazon Linux 2023 has 3.9, and newer ones beside it.
    if on_ec2 && command -v dnf >/dev/null; then
      dnf install -y -q python3.12
      base=python3.12
    elif on_ec2 && ! python3 -c 'import ensurepip' 2>/dev/null; then
      apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y python3-venv
      base=python3
    else
      base=python3
    fi
    rm -rf "$folder/locust-$version"
    "$base" -m venv "$folder/locust-$version"
    "$python" -m pip install --quiet --disable-pip-version-check "locust==$version"
  fi
  exec 9>&-
}

python=$(command -v python3 || true)
if ! is_ready "${python:-none}"; then
  install_locust
fi

# A master ends its workers with the load, and one that waits in vain gives up after some minutes: then the next one waits.
work='while true; do "$@" || true; sleep 1; done'
worker=("$python" -m locust -f - --worker "${master[@]}" --loglevel WARNING)
if on_ec2 && [[ -d /run/systemd/system ]]; then
  cat >/etc/systemd/system/locust@.service <<UNIT
[Unit]
Description=Worker of Locust
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${worker[*]}
Restart=always
RestartSec=1
WorkingDirectory=/tmp

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  for ((number = 1; number <= workers; number++)); do
    systemctl enable --now "locust@$number.service"
  done
else
  for ((number = 1; number < workers; number++)); do
    bash -c "$work" worker "${worker[@]}" &
  done
  exec bash -c "$work" worker "${worker[@]}"
fi
