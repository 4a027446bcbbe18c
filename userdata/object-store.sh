#!/bin/bash
# An object store: GET and DELETE /, GET, PUT and DELETE /objs/ID, GET /objs/ID/compress (bzip2, base64). One request is done after
# the other, ${var.rate} a second at most, with ${var.delay_ms} ± ${var.jitter_ms} ms on top. All instances share the objects.
#
# The same file runs on EC2 and in the embedded region. There the objects are in a folder that the region's instances share; on
# EC2 they are on the NFS export ${var.share} (`HOST:/PATH`, for example of EFS), or, where it is `none`, on each instance alone.
set -euo pipefail

port='${cluster.port}'
rate='${var.rate}'
delay_ms='${var.delay_ms}'
jitter_ms='${var.jitter_ms}'
share='${var.share}'

# The embedded region tells its instances where their metadata service is; EC2 has it at the well-known address.
if [[ -n "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ]]; then
  exec cloudscale workload object-store --port "$port" --folder "$CLOUDSCALE_SHARED/${stack.name}" \
    --rate "$rate" --delay "${delay_ms}ms" --jitter "${jitter_ms}ms"
fi

folder=/opt/cloudscale/objects
mkdir -p "$folder"
if [[ "$share" != none ]]; then
  # The client comes with Amazon Linux 2023; Debian and Ubuntu install it.
  command -v mount.nfs4 >/dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y nfs-common; }
  mount -t nfs4 -o nfsvers=4.1,hard,timeo=600,retrans=2 "$share" "$folder"
fi

cat >/opt/cloudscale/object_store.py <<'PYTHON'
import base64, bz2, os, random, re, sys, threading, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
PORT, FOLDER, RATE, DELAY, JITTER = int(sys.argv[1]), sys.argv[2], *(float(word) for word in sys.argv[3:6])
OBJECT_BYTES_MAX = 1 << 20
OBJECTS_MAX = 1000
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
TURN = threading.Lock()  # one request after the other


def ask(path, headers, method="GET"):
    request = urllib.request.Request(METADATA + path, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


TOKEN = ask("/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT")
INSTANCE, ADDRESS = (
    ask("/latest/meta-data/" + name, {"X-aws-ec2-metadata-token": TOKEN}) for name in ("instance-id", "local-ipv4")
)


def names():
    return sorted(name for name in os.listdir(FOLDER) if NAME.fullmatch(name))


def act(method, path, body):
    if path == "/" and method == "GET":
        return 200, "".join(name + "\n" for name in names()).encode()
    if path == "/" and method == "DELETE":
        for name in names():
            os.remove(os.path.join(FOLDER, name))
        return 204, b""
    found = re.fullmatch(r"/objs/([^/]+)(/compress)?", path)
    if not found:
        return (405, b"not with this method\n") if path == "/" else (404, b"nothing is here\n")
    name, compress = found.groups()
    if not NAME.fullmatch(name):
        return 400, b"no such name is allowed\n"
    place = os.path.join(FOLDER, name)
    if method == "PUT" and not compress:
        if not os.path.exists(place) and len(names()) >= OBJECTS_MAX:
            return 507, b"the store is full\n"
        beside = os.path.join(FOLDER, f".{name}.{INSTANCE}")
        with open(beside, "wb") as file:
            file.write(body)
        os.replace(beside, place)
        return 200, b""
    try:
        if method == "DELETE" and not compress:
            os.remove(place)
            return 204, b""
        if method != "GET":
            return 405, b"not with this method\n"
        with open(place, "rb") as file:
            read = file.read()
    except FileNotFoundError:
        return 404, b"no such object\n"
    return 200, base64.b64encode(bz2.compress(read)) if compress else read


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        path = self.path.split("?")[0]
        if path == "/health":
            status, body = 200, b"healthy\n"
        elif length > OBJECT_BYTES_MAX:
            status, body, self.close_connection = 413, b"an object has at most 1 MiB\n", True
        else:
            sent = self.rfile.read(length)
            with TURN:
                time.sleep(1 / RATE)
                status, body = act(self.command, path, sent)
            time.sleep(max(0, DELAY + random.uniform(-JITTER, JITTER)) / 1000)
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Instance-Id", INSTANCE)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = do_POST = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server((ADDRESS, PORT), Handler).serve_forever()
PYTHON

cat >/etc/systemd/system/object-store.service <<UNIT
[Unit]
Description=Object store
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$(command -v python3) /opt/cloudscale/object_store.py $port $folder $rate $delay_ms $jitter_ms
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now object-store.service
