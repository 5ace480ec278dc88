"""A name server for tests, and servers for the names: names.py RULES READY [SOCKET]

RULES is JSON: what is answered for a question's type, whatever its name: {"A": ["127.0.0.1"], "AAAA": "silent"}; a list of
addresses, or "silent", "servfail", "empty", "refused", "garbage", "first" (the list in "then", but not to the first question
of that type), "loop" (a CNAME that points to itself); with "domains": {"A": "x.test"} only for names in that domain. The server listens on 127.0.0.1, or on the "servers" of the rules, port 53; by HTTP on port 80 of
127.0.0.1 and ::1; port 5432 leads to the Unix socket SOCKET. The file READY is made when all is there.
"""
import json
import socket
import struct
import sys
import threading

TYPES = {1: "A", 28: "AAAA"}
rules, ready = json.loads(sys.argv[1]), sys.argv[2]
asked = {}


def answer(query):
    at = 12
    while query[at]:
        at += query[at] + 1
    kind = struct.unpack(">H", query[at + 1:at + 3])[0]
    question = query[12:at + 5]
    name = TYPES.get(kind, "other")
    rule = rules.get(name, "empty")
    labels = query[12:at].decode("latin-1")
    if name in rules.get("domains", {}) and rules["domains"][name].split(".")[0] not in labels:
        rule = "empty"
    asked[name] = asked.get(name, 0) + 1
    if rule == "first":
        rule = rules["then"] if asked[name] > 1 else "silent"
    if rule == "silent":
        return None
    if rule == "garbage":
        return query[:2] + b"\xff" * 300
    code = 2 if rule == "servfail" else 5 if rule == "refused" else 0
    records = b""
    count = 0
    if rule == "loop":
        records, count = b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 1, 2) + b"\xc0\x0c", 1
    elif isinstance(rule, list):
        for text in rule:
            data = socket.inet_pton(socket.AF_INET6 if kind == 28 else socket.AF_INET, text)
            records += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data
            count += 1
    return query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, count, 0, 0) + question + records


def names(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))

    def serve():
        while True:
            query, peer = s.recvfrom(4096)
            reply = answer(query)
            if reply:
                s.sendto(reply, peer)
    threading.Thread(target=serve, daemon=True).start()


def web(connection):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    connection.close()


def relay(connection):
    other = socket.socket(socket.AF_UNIX)
    other.connect(sys.argv[3])

    def copy(a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        try:
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    threading.Thread(target=copy, args=(connection, other), daemon=True).start()
    copy(other, connection)


def serve(address, port, handler):
    s = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)

    def one(connection):
        try:
            handler(connection)
        except OSError:
            pass

    def accept():
        while True:
            connection, _ = s.accept()
            threading.Thread(target=one, args=(connection,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()


for address in rules.get("servers", ["127.0.0.1"]):
    names(address)
for address in rules.get("listen", ["127.0.0.1", "::1"]):
    serve(address, 80, web)
    if len(sys.argv) > 3:
        serve(address, 5432, relay)
open(ready, "w").close()
threading.Event().wait()
