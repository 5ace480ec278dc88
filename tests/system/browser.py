#!/usr/bin/env python3
"""A headless Chromium for a test, by chromedriver's HTTP protocol: one JSON command a line in, one JSON answer a line out.

{"open": URL} {"script": JS, "args": [...]} {"size": [width, height]} {"media": {"prefers-color-scheme": "dark"}}
{"shot": FILE} {"log": true} (the console since the last time). An answer is {"value": ...} or {"error": text}.
The first line is "ready"; the end of the input ends it all.
"""
import base64, json, os, shutil, subprocess, sys, tempfile, urllib.request, urllib.error

folder = tempfile.mkdtemp(prefix="tend-browser-")
driver = subprocess.Popen(["chromedriver", "--port=0", "--log-level=SEVERE"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                          env={**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder, "TMPDIR": folder})
session = None


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    ask = urllib.request.Request(base + path, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with opener.open(ask, timeout=60) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as e:
        raise RuntimeError(json.load(e)["value"]["message"])


def cdp(command, params):
    return call("POST", f"/session/{session}/goog/cdp/execute", {"cmd": command, "params": params})


def obey(c):
    if "open" in c:
        return call("POST", f"/session/{session}/url", {"url": c["open"]})
    if "script" in c:
        return call("POST", f"/session/{session}/execute/sync", {"script": c["script"], "args": c.get("args", [])})
    if "size" in c:
        return cdp("Emulation.setDeviceMetricsOverride", {"width": c["size"][0], "height": c["size"][1], "deviceScaleFactor": 1, "mobile": c["size"][0] < 600})
    if "media" in c:
        return cdp("Emulation.setEmulatedMedia", {"features": [{"name": k, "value": v} for k, v in c["media"].items()]})
    if "shot" in c:
        with open(c["shot"], "wb") as f:
            f.write(base64.b64decode(cdp("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})["data"]))
        return True
    if "log" in c:
        return call("POST", f"/session/{session}/se/log", {"type": "browser"})
    raise RuntimeError("no such command")


try:
    port = None
    for line in driver.stdout:
        if "started successfully on port" in line:
            port = int(line.rsplit(" ", 1)[1].strip().rstrip("."))
            break
    base = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-proxy-server", "--disable-dev-shm-usage", f"--user-data-dir={folder}/profile"]
    session = call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"binary": shutil.which("chromium"), "args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}}})["sessionId"]
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            print(json.dumps({"value": obey(json.loads(line))}), flush=True)
        except Exception as e:
            print(json.dumps({"error": str(e)}), flush=True)
finally:
    if session:
        try:
            call("DELETE", f"/session/{session}")
        except Exception:
            pass
    driver.terminate()
    driver.wait()
    shutil.rmtree(folder, ignore_errors=True)
