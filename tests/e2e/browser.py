"""A headless Chromium, driven over WebDriver (https://www.w3.org/TR/webdriver2/) by the standard library alone."""

import base64
import json
import pathlib
import subprocess
import tempfile
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
SWITCHES = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]


class Browser:
    """One browser window, closed at the end of its `with` block."""

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory()
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.base = "http://127.0.0.1:" + line.rstrip(".\n").rsplit(" ", 1)[1]
                break
        options = {"args": [*SWITCHES, f"--user-data-dir={self.profile.name}"]}
        chosen = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
                                  "acceptInsecureCerts": True}}
        self.session = ""
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": chosen})["sessionId"]
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.profile.cleanup()

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + self.session + path, data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def devtools(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def look(self, width, height, scheme):
        """Sets the size of the window, and `light` or `dark`."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def url(self):
        return self.ask("GET", "/url")

    def script(self, text):
        return self.ask("POST", "/execute/sync", {"script": text, "args": []})

    def text(self, selector="body"):
        """The visible text, in one line."""
        return " ".join(self.script(f"return document.querySelector({json.dumps(selector)}).innerText").split())

    def shows(self, words, selector="body"):
        """Whether the text is visible now; false while the page is being replaced."""
        try:
            return words in self.text(selector)
        except urllib.error.HTTPError:
            return False

    def press(self, selector):
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]
        self.ask("POST", f"/element/{found}/click", {})

    def keys(self, text):
        """Types into the focused element. U+E004 is Tab, U+E007 Enter, U+E014 the right arrow (WebDriver §17.4.2)."""
        pressed = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": pressed}]})

    def complaints(self):
        """New messages of the browser's console: rejected styles, scripts, requests. Requests for the missing icon of a plain-text page are
        left out."""
        said = [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})]
        return [message for message in said if "/favicon.ico - " not in message]

    def names(self):
        """Role and name of every node that a screen reader presents."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")]

    def picture(self, path):
        """Writes a picture of the whole page to a file."""
        height = self.script("return document.documentElement.scrollHeight")
        width = self.script("return window.innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        shot = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
