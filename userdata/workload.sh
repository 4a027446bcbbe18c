#!/bin/bash
# The sample application: every path answers with the id of the instance, in the body and in X-Instance-Id.
#
# The same file runs on EC2 and in the embedded region. There `cloudscale workload` serves; on EC2, where there is no such
# program, a server on Python's standard library gives the same answers. Both ask the metadata service who they are.
set -euo pipefail

port='${cluster.port}'
delay_ms='${var.delay_ms}'

# The embedded region tells its instances where their metadata service is; EC2 has it at the well-known address.
on_ec2() {
  [[ -z "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ]]
}

if command -v cloudscale >/dev/null; then
  server=("$(command -v cloudscale)" workload --port "$port" --delay "${delay_ms}ms")
else
  folder=/opt/cloudscale
  on_ec2 || folder="$PWD"
  mkdir -p "$folder"
  cat >"$folder/workload.py" <<'PYTHON'
import os, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
PORT, DELAY_SECONDS = int(sys.argv[1]), int(sys.argv[2]) / 1000


def ask(path, headers, method="GET"):
    request = urllib.request.Request(METADATA + path, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


TOKEN = ask("/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT")
INSTANCE, ADDRESS = (
    ask("/latest/meta-data/" + name, {"X-aws-ec2-metadata-token": TOKEN}) for name in ("instance-id", "local-ipv4")
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/health":
            time.sleep(DELAY_SECONDS)
        body = (INSTANCE + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Instance-Id", INSTANCE)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server((ADDRESS, PORT), Handler).serve_forever()
PYTHON
  server=("$(command -v python3)" "$folder/workload.py" "$port" "$delay_ms")
fi

if on_ec2 && [[ -d /run/systemd/system ]]; then
  cat >/etc/systemd/system/workload.service <<UNIT
[Unit]
Description=Sample application
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${server[*]}
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable --now workload.service
else
  exec "${server[@]}"
fi
