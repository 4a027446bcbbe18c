#!/bin/bash
# A Flask application in a virtual environment, under gunicorn with two workers for every processor.
#
# The same file runs on EC2 (as a systemd unit) and in the embedded region (as the instance's own process).
set -euo pipefail

port='${cluster.port}'
metadata="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"

# The embedded region tells its instances where their metadata service is; EC2 has it at the well-known address.
on_ec2() {
  [[ -z "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ]]
}

token=$(curl -sSf -X PUT "$metadata/latest/api/token" -H 'X-aws-ec2-metadata-token-ttl-seconds: 300')
ask() {
  curl -sSf "$metadata/latest/meta-data/$1" -H "X-aws-ec2-metadata-token: $token"
}
instance_id=$(ask instance-id)
address=$(ask local-ipv4)

if on_ec2; then
  folder=/opt/flask
  # Debian and Ubuntu keep the venv module in a package of its own.
  if ! python3 -c 'import ensurepip' 2>/dev/null; then
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y python3-venv
  fi
else
  folder="$PWD"
fi
mkdir -p "$folder"

# On one machine all instances can share the packages: the first one installs them while the others wait.
environment="${CLOUDSCALE_CACHE:-$folder}/flask-venv"
mkdir -p "$(dirname "$environment")"
exec 9>"$environment.lock"
flock 9
if [[ ! -x "$environment/bin/gunicorn" ]]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --disable-pip-version-check 'flask==3.1.2' 'gunicorn==23.0.0'
fi
exec 9>&-

cat >"$folder/app.py" <<'PYTHON'
import os

from flask import Flask

app = Flask(__name__)
INSTANCE = os.environ["INSTANCE_ID"]


@app.route("/health")
@app.route("/", defaults={"path": ""})
@app.route("/<path:path>")
def answer(path=""):
    return INSTANCE + "\n", 200, {"Content-Type": "text/plain", "X-Instance-Id": INSTANCE}
PYTHON

export INSTANCE_ID="$instance_id"
# Kept alive for longer than the load balancer keeps an idle connection (60 s): otherwise it meets closed ones.
server=("$environment/bin/gunicorn" --chdir "$folder" --bind "$address:$port" --workers "$((2 * $(nproc)))"
  --worker-class gthread --threads 8 --keep-alive 75 app:app)

if on_ec2 && [[ -d /run/systemd/system ]]; then
  cat >/etc/systemd/system/flask.service <<UNIT
[Unit]
Description=Flask application
Wants=network-online.target
After=network-online.target

[Service]
Environment=INSTANCE_ID=$instance_id
ExecStart=${server[*]}
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable --now flask.service
else
  exec "${server[@]}"
fi
