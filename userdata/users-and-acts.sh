#!/bin/bash
# One of the two services of a photo-sharing application: `users` or `acts`, as the cluster is called. Each knows the other's URL
# (${var.users_url}, ${var.acts_url}); `auto` is the load balancer that a request came through. What they have: GET and PUT
# /api/v1/users, DELETE /api/v1/users/NAME; GET and POST /api/v1/acts, DELETE /api/v1/acts?username=NAME; and on both GET
# /api/v1/_health, GET and DELETE /api/v1/_count, POST /api/v1/_crash.
#
# The same file runs on EC2 and in the embedded region. There the database is a folder that the region's instances share; on EC2
# it is on the NFS export ${var.share} (`HOST:/PATH`, for example of EFS), or, where it is `none`, on each instance alone.
set -euo pipefail

service='${cluster.name}'
port='${cluster.port}'
share='${var.share}'
case "$service" in
  users) other='${var.acts_url}' ;;
  acts) other='${var.users_url}' ;;
  *) echo "no such service: $service" >&2; exit 1 ;;
esac

# The embedded region tells its instances where their metadata service is; EC2 has it at the well-known address.
if [[ -n "${AWS_EC2_METADATA_SERVICE_ENDPOINT:-}" ]]; then
  exec cloudscale workload "$service" --port "$port" --folder "$CLOUDSCALE_SHARED/${stack.name}" --other "$other"
fi

folder=/opt/cloudscale/database
mkdir -p "$folder"
if [[ "$share" != none ]]; then
  # The client comes with Amazon Linux 2023; Debian and Ubuntu install it.
  command -v mount.nfs4 >/dev/null || { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y nfs-common; }
  mount -t nfs4 -o nfsvers=4.1,hard,timeo=600,retrans=2 "$share" "$folder"
fi
mkdir -p "$folder/$service"

cat >/opt/cloudscale/users_and_acts.py <<'PYTHON'
import json, os, re, sys, threading, urllib.error, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
SERVICE, PORT, FOLDER, OTHER = sys.argv[1], int(sys.argv[2]), os.path.join(sys.argv[3], sys.argv[1]), sys.argv[4]
BODY_BYTES_MAX, OBJECTS_MAX = 16 << 10, 1000
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
STATE = {"count": 0, "crashed": False}
LOCK = threading.Lock()


def ask(url, headers={}, method="GET"):
    request = urllib.request.Request(url, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.read().decode()


TOKEN = ask(METADATA + "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT")
INSTANCE, ADDRESS = (
    ask(METADATA + "/latest/meta-data/" + name, {"X-aws-ec2-metadata-token": TOKEN})
    for name in ("instance-id", "local-ipv4")
)


def is_name(text):
    return isinstance(text, str) and bool(NAME.fullmatch(text))


def place(name):
    return os.path.join(FOLDER, name)


def names():
    return sorted(name for name in os.listdir(FOLDER) if NAME.fullmatch(name))


def put(name, text):
    if not os.path.exists(place(name)) and len(names()) >= OBJECTS_MAX:
        return 507, {"error": "the database is full"}
    beside = os.path.join(FOLDER, f".{name}.{INSTANCE}")
    with LOCK:
        with open(beside, "w") as file:
            file.write(text)
        os.replace(beside, place(name))
    return 201, {}


def neighbour(host, method, path):
    """The status of the other service's answer."""
    # What a client writes into its Host header must not make us ask just anybody.
    if OTHER == "auto" and not re.fullmatch(r"[A-Za-z0-9.-]+\.elb\.amazonaws\.com(:[0-9]+)?", host or ""):
        raise OSError("say where the other service is by its URL")
    try:
        ask(("http://" + host if OTHER == "auto" else OTHER.rstrip("/")) + path, {}, method)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


def acts():
    for name in names():
        try:
            with open(place(name)) as file:
                yield json.load(file)
        except FileNotFoundError:
            pass  # another worker has taken it away meanwhile


def serve_users(method, path, query, body, host):
    name = path.removeprefix("users/")
    if path == "users" and method == "GET":
        return 200, names()
    if path == "users" and method == "PUT":
        name = json.loads(body).get("username")
        if not is_name(name):
            return 400, {"error": "no such username"}
        return (409, {"error": "there is one of that name"}) if os.path.exists(place(name)) else put(name, "")
    if path.startswith("users/") and is_name(name) and os.path.exists(place(name)):
        if method == "GET":
            return 200, {"username": name}
        if method == "DELETE":
            if neighbour(host, "DELETE", "/api/v1/acts?username=" + name) != 200:
                return 502, {"error": "acts does not answer"}
            os.remove(place(name))
            return 200, {}
    return 404, {"error": "nothing is here"}


def serve_acts(method, path, query, body, host):
    if path != "acts" or method not in ("GET", "POST", "DELETE"):
        return 404, {"error": "nothing is here"}
    if method == "GET":
        return 200, list(acts())
    if method == "DELETE":
        for act in list(acts()):
            if act["username"] == query.get("username", [""])[0]:
                os.remove(place(act["id"]))
        return (200, {}) if "username" in query else (400, {"error": "whose? ?username=NAME"})
    asked = json.loads(body)
    act = {"id": asked.get("id"), "username": asked.get("username"), "caption": str(asked.get("caption", ""))}
    if not is_name(act["id"]) or not is_name(act["username"]):
        return 400, {"error": "no such id or username"}
    status = neighbour(host, "GET", "/api/v1/users/" + act["username"])
    if status != 200:
        return (400, {"error": "there is no such user"}) if status == 404 else (502, {"error": f"users: {status}"})
    return put(act["id"], json.dumps(act))


def steer(method, path):
    if (method, path) == ("GET", "_count"):
        return 200, [STATE["count"]]
    if (method, path) == ("DELETE", "_count"):
        STATE["count"] = 0
    elif (method, path) == ("POST", "_crash"):
        STATE["crashed"] = True
    elif (method, path) != ("GET", "_health"):
        return 404, {"error": "nothing is here"}
    return 200, {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    wbufsize = -1  # head and body in one packet
    disable_nagle_algorithm = True

    def act(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.close_connection = True
            return 413, {"error": "a body has at most 16 KiB"}
        body, url = self.rfile.read(length), urllib.parse.urlsplit(self.path)
        path = url.path.removeprefix("/api/v1/")
        if STATE["crashed"]:
            return 500, {"error": "crashed"}
        if path.startswith("_"):
            return steer(self.command, path)
        with LOCK:
            STATE["count"] += 1
        serve = {"users": serve_users, "acts": serve_acts}[SERVICE]
        try:
            return serve(self.command, path, urllib.parse.parse_qs(url.query), body, self.headers.get("Host"))
        except (ValueError, AttributeError) as error:
            return 400, {"error": str(error)}
        except OSError as error:
            return 502, {"error": str(error)}

    def answer(self):
        status, answer = self.act()
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Instance-Id", INSTANCE)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server((ADDRESS, PORT), Handler).serve_forever()
PYTHON

cat >/etc/systemd/system/users-and-acts.service <<UNIT
[Unit]
Description=Users and acts
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=$(command -v python3) /opt/cloudscale/users_and_acts.py $service $port $folder $other
Restart=always

[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now users-and-acts.service
