#!/bin/bash
# An application whose requests cost processor time: every path but /health keeps a virtual CPU busy for ${var.service_ms}
# milliseconds and answers with the id of the instance.
#
# The same file runs on EC2 and in the embedded region. There the processor is a modelled one: requests wait for it and nothing
# is burnt, so that a laptop carries fifty such instances; on EC2 a server on Python's standard library burns the time.
set -euo pipefail

port='${cluster.port}'
service_ms='${var.service_ms}'

# The embedded region tells its instances where their metadata service is; EC2 has it at the well-known address.
if [[ -n "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ]]; then
  exec cloudscale workload --port "$port" --service-time "${service_ms}ms" --service-distribution exponential
fi

mkdir -p /opt/cloudscale
cat >/opt/cloudscale/service.py <<'PYTHON'
import os, random, socket, sys, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
PORT, SERVICE_SECONDS = int(sys.argv[1]), int(sys.argv[2]) / 1000


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
            until = time.thread_time() + random.expovariate(1 / SERVICE_SECONDS)
            while time.thread_time() < until:
                pass
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

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


# A process for each virtual CPU, all on one port: Python's threads share one.
for _ in range((os.cpu_count() or 1) - 1):
    if os.fork() == 0:
        break
Server((ADDRESS, PORT), Handler).serve_forever()
PYTHON

cat >/etc/systemd/system/service.service <<UNIT
[Unit]
Description=Sample application
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$(command -v python3) /opt/cloudscale/service.py $port $service_ms
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now service.service
