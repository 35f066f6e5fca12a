"""The page in a real Chromium, against a real gateway: python3 browser.py [FOLDER FOR PICTURES]

What a person would do and see: create, scan, be logged out, delete, lose the gateway. Codes are read from screenshots.
"""
import base64, contextlib, glob, json, os, sqlite3, subprocess, sys, threading, time
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from gateway import Follower, Gateway, eventually, folder, recorded_codes

HOSTILE = "<img src=x onerror=window.pwned=1>\"'&é/☕"
NAMES = ["Ana Souza ☕", "Kwik-Fit Leeds", "Padaria do Bairro", "Müller & Söhne GmbH", "", "Zoë", "Ferretería Ávila", "山田商店", "مكتب الرياض", "Support Team"]
CODES = recorded_codes()
checks = 0


def check(what, condition=True):
    global checks
    checks += 1
    assert condition, what
    print(f"  {what}", flush=True)


class Page:
    def __init__(self, pictures):
        options = webdriver.ChromeOptions()
        for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--lang=en-US"]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        self.pictures = pictures
        self.desktop()

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def size(self, width, height, scale, mobile=False):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile)

    def desktop(self):
        self.size(1360, 900, 1)

    def phone(self):
        self.size(390, 844, 2, mobile=True)

    def scheme(self, name):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0])?.innerText", selector)

    def shows(self, selector, text, seconds=30):
        eventually(lambda: text in (self.text(selector) or ""), f"{text!r} in {selector}, which has {self.text(selector)!r}", seconds)

    def is_shown(self, selector):
        return self.driver.execute_script("return document.querySelector(arguments[0]).checkVisibility()", selector)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def rows(self):
        return self.script("return [...document.querySelectorAll('#list li')].map(row => row.querySelector('strong').textContent)")

    def listed(self):
        """The ids that the list has, drawn or not."""
        return self.script("return shownSessions().map(session => session.id)")

    def open_row(self, session_id):
        eventually(lambda: self.script("reveal(arguments[0]); const row = rows.get(arguments[0]); row?.click(); return Boolean(row)", session_id),
                   f"the row of {session_id}")

    def axe(self):
        """What is wrong for people who cannot see or point well: https://github.com/dequelabs/axe-core"""
        if not self.script("return typeof axe === 'object'"):
            [source] = glob.glob(os.path.join(os.path.dirname(sys.executable), "../lib/python*/site-packages/axe_core_python/axe.min.js"))
            self.script(open(source, encoding="utf-8").read())
        found = self.driver.execute_async_script("axe.run().then(arguments[0])")
        return [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found["violations"]]

    def screenshot(self, name):
        path = os.path.join(self.pictures, name + ".png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))
        return path

    def read_code(self, name):
        """What a phone would read from the screen; empty for nothing."""
        result = subprocess.run(["zbarimg", "-q", "--raw", self.screenshot(name)], capture_output=True)
        return result.stdout.decode().rstrip("\n")

    def reads(self, code, name):
        self.script("document.getElementById('code').scrollIntoView({block: 'nearest'})")
        eventually(lambda: self.read_code(name) == code, f"the code in {name}.png")

    def unexpected_errors(self, expected=()):
        return [e["message"] for e in self.driver.get_log("browser")
                if e["level"] == "SEVERE" and not any(text in e["message"] for text in expected)]


# The lowest contrast of a text with what is behind it. WCAG 2.2 asks for 4.5.
CONTRAST = """
const channel = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const colour = rgb(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
let worst = [99, ""];
for (const node of document.querySelectorAll("body *")) {
  if (!node.checkVisibility() || ![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
  if (["SCRIPT", "STYLE"].includes(node.tagName)) continue;
  const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < worst[0]) worst = [ratio, node.outerHTML.slice(0, 80)];
}
return worst;
"""


def pairing(page, gateway):
    print("a pairing")
    page.driver.get(gateway.url)
    page.shows("#live", "Live")
    page.shows("#empty", "No sessions yet")
    page.screenshot("empty")
    check("an empty gateway says what to do")
    page.find("#new-id").send_keys("support" + Keys.ENTER)
    page.shows("#panel-id", "support")
    page.shows("#panel-status", "Connecting")
    check("a session is created in the page", gateway.session("support")["status"] == "initializing")
    check("its panel has the focus", page.script("return document.activeElement.id") == "panel-id")
    page.find("#new-id").send_keys("support" + Keys.ENTER)
    page.shows("#notice", "There is a session with this id")
    check("a second one with its id is refused, in a sentence")
    page.script("document.getElementById('new-id').value = ''; notify('')")

    gateway.post("support", "connection.update", {"connection": "connecting"})
    gateway.post("support", "connection.update", {"qr": CODES[0]})
    page.shows("#panel-status", "Waiting for scan")
    page.reads(CODES[0], "code-light")
    check("a phone reads the worker's code, in light")
    page.shows("#expiry", "expires in 5")
    check("the first code lives a minute")
    page.scheme("dark")
    page.reads(CODES[0], "code-dark")
    check("and in dark")
    page.phone()
    page.reads(CODES[0], "phone-dark")
    check("and on a phone")
    page.scheme("light")
    page.reads(CODES[0], "phone-light")
    page.desktop()
    gateway.post("support", "connection.update", {"qr": CODES[1]})
    page.reads(CODES[1], "code-next")
    page.shows("#expiry", "expires in 1")
    check("the next code takes its place, and lives 20 seconds")
    expired = time.monotonic() + 21
    keyboard(page, gateway)
    time.sleep(max(0, expired - time.monotonic()))
    page.shows("#expiry", "expired")
    page.shows("#code-note", "has expired")
    check("a code that has expired cannot be read", page.read_code("code-expired") == "")
    gateway.post("support", "connection.update", {"qr": CODES[2]})
    page.reads(CODES[2], "code-third")
    check("and the one after it can")

    gateway.post("support", "creds.update", {"me": {"id": "447700900123:7@s.whatsapp.net"}})
    gateway.post("support", "connection.update", {"isNewLogin": True})
    page.shows("#panel-status", "Connecting")
    check("a scanned code is gone", not page.is_shown("#code"))
    gateway.post("support", "connection.update", {"connection": "open"})
    page.shows("#panel-status", "Connected")
    gateway.post("support", "creds.update", {"me": {"id": "447700900123:7@s.whatsapp.net", "name": "Ana Souza ☕"}})
    page.shows("#facts", "Ana Souza ☕")
    page.shows("#facts", "+447700900123")
    check("the account is connected, with its number and name")
    status, problem = gateway.post("support", "connection.update", {"qr": CODES[3]})
    check("a late code is refused", status == 422 and problem["code"] == "connected_to_qr_waiting")
    time.sleep(0.3)
    check("and the page doesn't show it", page.text("#panel-status") == "Connected" and not page.is_shown("#code"))

    gateway.post("support", "connection.update", {"connection": "close", "lastDisconnect": {"error": {"output": {
        "statusCode": 401, "payload": {"message": "Stream Errored (conflict)"}}}}})
    page.shows("#reason", "Logged out (401). The device was unlinked on the phone")
    page.shows("#list", "Logged out")
    page.shows("#facts", "Offline since")
    page.screenshot("logged-out")
    check("a logout says why and since when, in words")
    page.find("#pair").click()
    page.shows("#panel-status", "Connecting")
    page.shows("#reason", "Last problem: Logged out")
    check("it can be paired again, and still says why it went offline", gateway.session("support")["wish"] == "pair")


def low(page, gateway):
    print("low windows")
    gateway.create("low")
    gateway.post("low", "creds.update", {"me": {"id": "447700900123:7@s.whatsapp.net", "name": "Ana"}})
    gateway.post("low", "connection.update", {"qr": CODES[0]})
    eventually(lambda: "low" in page.rows(), "its row")
    # A laptop, a phone on its side, and a wide window at 200 %.
    for width, height in [(1366, 650), (844, 390), (683, 325)]:
        page.size(width, height, 2 if width == 683 else 1, mobile=width == 844)
        page.open_row("low")
        page.shows("#panel-id", "low")
        page.reads(CODES[0], f"low-{width}x{height}")
        top, bottom = page.script("const box = document.getElementById('picture').getBoundingClientRect(); return [box.top, box.bottom]")
        check(f"the whole code is in a window of {width} by {height}", 0 <= top and bottom <= height)
        page.script("document.getElementById('delete').scrollIntoView({block: 'nearest'})")
        box = page.script("const box = document.getElementById('delete').getBoundingClientRect(); return [box.top, box.bottom]")
        # But for a part of a pixel.
        check("and what is below it can be reached", -1 < box[0] and box[1] < height + 1)
        page.script("document.getElementById('close').click()")
    page.desktop()
    page.open_row("low")

    gateway.post("low", "session", {"pairingCode": "ABCD1234"})
    page.shows("#letters", "ABCD-1234")
    page.shows("#type", "type the code")
    check("a code to be typed is shown as letters, with how to use it", not page.is_shown("#picture") and not page.is_shown("#scan"))
    check("and its age", "s old" in page.text("#age") and page.text("#expiry") == "")
    gateway.post("low", "Connected", {})
    gateway.post("low", "NotifyAccountReachoutTimelock", {"is_active": True, "time_enforcement_ends": "4102444800"})
    page.shows("#restriction", "Restricted: no messages to new contacts until ")
    check("a restriction is shown, and the account stays connected", page.text("#panel-status") == "Connected")
    gateway.post("low", "TemporaryBan", {"Code": 101, "Expire": 3600_000_000_000})
    page.shows("#reason", "Temporarily banned until ")
    check("a ban says until when")
    gateway.request("DELETE", gateway.path("low"))
    eventually(lambda: not page.is_shown("#panel"), "the panel closes")


def keyboard(page, gateway):
    print("the keyboard")
    for name in ["b", "c"]:
        gateway.create(name)
    eventually(lambda: page.rows() == ["support", "b", "c"], "three rows")
    press = lambda *keys: page.driver.switch_to.active_element.send_keys(*keys)
    focus = lambda: page.script("const a = document.activeElement; return a.session?.id ?? a.id")
    press(Keys.ESCAPE)
    check("Escape closes the panel, and its row has the focus", not page.is_shown("#panel") and focus() == "support")
    check("the list is one Tab stop", page.script("return document.querySelectorAll('#list [tabindex=\"0\"]').length") == 1)
    press(Keys.HOME)
    press(Keys.ARROW_DOWN)
    check("arrow keys move in the list", focus() == "b")
    press(Keys.ENTER)
    check("Enter opens", page.text("#panel-id") == "b")
    press(Keys.ESCAPE)
    press(Keys.END)
    press(Keys.ENTER)
    check("End goes to the last one", page.text("#panel-id") == "c")
    press(Keys.ESCAPE)
    press(Keys.HOME)
    press(Keys.ENTER)
    check("and Home to the first", page.text("#panel-id") == "support")
    for name in ["b", "c"]:
        gateway.request("DELETE", "/sessions/" + name)
    eventually(lambda: page.rows() == ["support"], "one row")


def hostile(page, gateway):
    print("hostile ids")
    page.script("document.getElementById('new-id').value = arguments[0]", HOSTILE)
    page.find("#create button").click()
    page.shows("#panel-id", HOSTILE)
    gateway.post(HOSTILE, "connection.update", {"qr": CODES[4]})
    page.reads(CODES[4], "code-hostile")
    check("an id of markup is a text, and its code is found")
    gateway.post(HOSTILE, "creds.update", {"me": {"id": "447700900123", "name": HOSTILE}})
    page.shows("#facts", HOSTILE)
    check("so is a name")
    gateway.post(HOSTILE, "connection.update", {"connection": "close", "lastDisconnect": {"error": {"message": HOSTILE}}, "x": 1}, willReconnect=False)
    page.shows("#reason", "The worker said: " + HOSTILE)
    check("so is a reason")
    check("none of it ran", page.script("return window.pwned") is None)
    check("none of it became an element", page.script("return document.querySelectorAll('img').length") == 1)
    page.find("#delete").click()
    page.shows("#confirm-title", HOSTILE)
    page.find("#confirm [value=cancel]").click()
    check("a question comes before a deletion", gateway.session(HOSTILE) is not None)
    page.find("#delete").click()
    page.find("#confirm [value=yes]").click()
    eventually(lambda: gateway.session(HOSTILE) is None and HOSTILE not in page.rows(), "deleted")
    check("a session is deleted", not page.is_shown("#panel"))
    for name in ["null", "elsewhere"]:
        gateway.create(name)
        page.shows("#list", name)
    page.open_row("elsewhere")
    page.find("#delete").click()
    gateway.request("DELETE", "/sessions/elsewhere")
    page.shows("#notice", "Session “elsewhere” was deleted")
    check("one that is deleted elsewhere closes, and is said", not page.is_shown("#panel"))
    check("and the question with it", not page.script("return document.getElementById('confirm').open"))
    check("no other session is deleted", gateway.session("null") is not None)
    gateway.request("DELETE", "/sessions/null")
    eventually(lambda: page.rows() == ["support"], "one row")


class Worker:
    """A worker that does what an operator wants, as far as the gateway can see."""

    def __init__(self, gateway, name):
        self.gateway, self.name, self.heard = gateway, name, []
        self.follower = Follower(gateway, "?worker=" + name)
        self.lease = self.follower.until("lease")[2]["lease"]
        threading.Thread(target=self.obey, daemon=True).start()

    def post(self, session_id, event, data):
        return self.gateway.post(session_id, event, data, worker=self.name, lease=self.lease)

    def obey(self):
        while True:
            event = self.follower.next(600)
            if not event: return
            if event[0] != "session" or event[2].get("holder") != self.name: continue
            session = event[2]
            self.heard.append((session["id"], session.get("wish")))
            if session.get("wish") == "stop" and session["status"] != "disconnected":
                self.post(session["id"], "session", {"status": "disconnected", "reason": "stopped"})
            elif session.get("wish") == "logout":
                self.post(session["id"], "LoggedOut", {"Reason": 401})
            elif session["status"] == "initializing" and session["linked"]:
                self.post(session["id"], "Connected", {})


def operate(page, gateway):
    print("an operator")
    gateway.create("shop-a")
    page.shows("#list", "shop-a")
    page.shows("#no-worker", "No worker is connected")
    page.open_row("shop-a")
    page.shows("#hint", "No worker is connected to the gateway")
    check("a session that would wait for ever says that no worker is connected")
    worker = Worker(gateway, "eu-1")
    for name in ["shop-a", "shop-b", "shop-c"]:
        if name != "shop-a": gateway.create(name)
        worker.post(name, "PairSuccess", {"ID": "447700900123:7@s.whatsapp.net", "BusinessName": "Ana"})
        worker.post(name, "Connected", {})
    page.shows("#panel-status", "Connected")
    page.shows("#workers", "1 worker")
    check("once one is, it is counted, and the session has its name", "eu-1" in page.text("#facts") and not page.is_shown("#no-worker"))

    page.find("#stop").click()
    page.shows("#reason", "Stopped. An operator stopped it.")
    check("stopped by a press, it is offline, linked and no problem",
          gateway.session("shop-a")["linked"] and page.script("return !isProblem(sessions.get('shop-a'))"))
    page.shows("#changes", "Connected → Disconnected: Stopped")
    check("the history says when and why")
    page.find("#start").click()
    page.shows("#panel-status", "Connected")
    check("started by a press, it is online without a pairing")
    page.find("#logout").click()
    page.shows("#confirm-title", "Log out shop-a?")
    page.shows("#confirm-text", "unlinks the account on the phone")
    page.find("#confirm [value=cancel]").click()
    time.sleep(0.3)
    check("a question that says what the worker will do comes before a logout", gateway.session("shop-a")["status"] == "connected")
    page.find("#logout").click()
    page.find("#confirm [value=yes]").click()
    page.shows("#reason", "Logged out (401)")
    check("logged out, by the worker", ("shop-a", "logout") in worker.heard and not gateway.session("shop-a")["linked"])

    print("addresses and the title")
    check("a session has an address", page.driver.current_url.endswith("/#shop-a"))
    page.driver.refresh()
    page.shows("#panel-id", "shop-a")
    check("which a reload keeps")
    page.open_row("shop-b")
    page.shows("#panel-id", "shop-b")
    page.driver.back()
    page.shows("#panel-id", "shop-a")
    check("Back goes to the session before")
    page.phone()
    page.script("deselect(true)")
    page.open_row("shop-b")
    page.driver.back()
    eventually(lambda: not page.is_shown("#panel"), "the panel is closed")
    check("and on a phone to the list", page.driver.current_url.startswith(gateway.url))
    page.desktop()
    page.driver.get(gateway.url + "/#" + "n%20o")
    page.shows("#notice", "There is no session “n o”.")
    check("an address of no session is said to be one")
    offline = page.script("return counts.problems")
    check("the title counts what is offline", offline > 0 and page.driver.title == f"({offline}) WhatsApp sessions")
    check("and it comes first in the list", page.rows()[0] in ["shop-a", "support"])

    print("several at once")
    page.find("#several").click()
    for name in ["shop-b", "shop-c"]: page.open_row(name)
    page.shows("#picked-count", "2 chosen")
    check("rows are chosen", page.script("return [...document.querySelectorAll('#list [aria-selected=true]')].length") == 2 and not page.is_shown("#panel"))
    page.find("#picking [data-order=stop]").click()
    page.shows("#confirm-title", "Stop 2 sessions?")
    page.find("#confirm [value=yes]").click()
    page.shows("#notice", "2 sessions stopped.")
    for name in ["shop-b", "shop-c"]:
        eventually(lambda: gateway.session(name).get("disconnectReason", {}).get("text") == "stopped", f"{name} is stopped")
    check("several are stopped after one question")
    page.script("$('holder').value = '=eu-1'; $('holder').dispatchEvent(new Event('change'))")
    eventually(lambda: page.rows() and set(page.rows()) == {"shop-a", "shop-b", "shop-c"}, "those of the worker")
    check("a worker's sessions are filtered")
    page.script("$('holder').value = '*'; $('holder').dispatchEvent(new Event('change'))")

    print("notifications")
    page.command("Browser.grantPermissions", permissions=["notifications"], origin=gateway.url)
    page.script("window.told = []; window.Notification = class extends Notification { constructor(title, options) { super(title, options); told.push([title, options.body]); } }")
    page.find("#notify").click()
    eventually(lambda: page.script("return notifies"), "it notifies")
    gateway.request("POST", "/sessions/shop-b/start")
    eventually(lambda: gateway.session("shop-b")["status"] == "connected", "online again")
    worker.post("shop-b", "StreamReplaced", {})
    eventually(lambda: page.script("return window.told") == [["shop-b is offline", "Replaced"]], "a notification")
    check("whoever asked is notified of an account that goes offline")
    page.find("#notify").click()

    print("marks that turn text around")
    mark = "\u202etros\u202c"
    gateway.create(mark)
    gateway.create("   ")
    eventually(lambda: "   " in page.listed() and mark in page.listed(), "two odd ids")
    page.open_row(mark)
    page.find("#delete").click()
    check("an id with such marks is apart from the sentence around it",
          page.script("return $('confirm-title').innerHTML") == f"Delete <bdi>{mark}</bdi>?")
    page.find("#confirm [value=cancel]").click()
    page.open_row("   ")
    check("an id of spaces is seen", page.text("#panel-id") == "␣␣␣" and "␣␣␣" in page.rows())
    page.script("deselect(true)")
    for name in [mark, "   ", "shop-a", "shop-b", "shop-c"]:
        assert gateway.request("DELETE", gateway.path(name))[0] == 204
    eventually(lambda: page.listed() == ["support"], "one session")


# Scrolls through the list, and returns the longest that the page kept anybody waiting, in milliseconds.
SCROLL = """
const done = arguments[0];
let longest = 0;
const observer = new PerformanceObserver((list) => { for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration); });
observer.observe({ entryTypes: ["longtask"] });
let step = 0;
const timer = setInterval(() => {
  scrollTo(0, (document.body.scrollHeight * step) / 60);
  if (step++ < 60) return;
  clearInterval(timer);
  setTimeout(() => { observer.disconnect(); done(longest); }, 200);
}, 30);
"""


def large(page, directory):
    for total in [10_000, 50_000]:
        print(f"{total:,} sessions")
        file = os.path.join(directory, f"{total}.sqlite")
        with Gateway("--file", file) as gateway:
            with sqlite3.connect(file, timeout=60) as database:
                database.executemany("INSERT INTO sessions (id, status, connected_at, created_at, phone_number) VALUES (?, 'connected', 1, ?, '447700900123')",
                                     ((f"account-{number:05}", 1_772_442_064_000 + number) for number in range(total)))
            page.driver.get(gateway.url)
            started = time.monotonic()
            eventually(lambda: len(page.listed()) == total and page.rows(), f"{total} sessions", 60)
            check(f"they are there {time.monotonic() - started:.1f} s after the navigation", len(page.rows()) < 60)
            print(f"    the longest task while scrolling from the first to the last: {page.driver.execute_async_script(SCROLL):.0f} ms")
            last = f"account-{total - 1:05}"
            check("the last can be scrolled to", last in page.rows())
            page.script("focusRow('account-00000')")
            started = time.monotonic()
            for _ in range(10): page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
            check(f"ten arrow keys take {time.monotonic() - started:.1f} s", page.script("return document.activeElement.session.id") == "account-00010")
            page.driver.switch_to.active_element.send_keys(Keys.END)
            check("End goes to the last", page.script("return document.activeElement.session.id") == last)
            gateway.request("POST", f"/sessions/{last}/stop")
            gateway.request("POST", "/sessions/account-00005/logout")
            gateway.post("account-00005", "LoggedOut", {"Reason": 401})
            eventually(lambda: page.listed()[0] == "account-00005", "the one with a problem is first")
            check("what goes wrong among them comes first, and what was stopped last", page.listed()[-1] == last)
            page.find("#search").send_keys(f"{total - 7}")
            eventually(lambda: page.rows() == [f"account-{total - 7:05}"], "the one that was looked for")
            check("one of them is found")
            page.script("showAll(); draw()")


def lost(page, gateway):
    print("the gateway is killed")
    gateway.post("support", "connection.update", {"qr": CODES[3]})
    page.open_row("support")
    page.reads(CODES[3], "code-before")
    gateway.kill()
    page.shows("#lost", "No connection to the gateway.")
    page.shows("#lost", "Next try in")
    check("the page says that the connection is lost")
    page.shows("#code-note", "No connection to the gateway")
    check("and a code that may be stale cannot be read", page.read_code("connection-lost") == "")
    page.find("#new-id").send_keys("meanwhile" + Keys.ENTER)
    page.shows("#notice", "The gateway cannot be reached.")
    check("what a person does meanwhile fails in a sentence")
    page.script("document.getElementById('new-id').value = ''; notify('')")
    gateway.start()
    page.shows("#live", "Live")
    page.shows("#panel-status", "Disconnected")
    page.shows("#reason", "Logged out (401)")
    check("it comes back by itself, with what is true now", not page.is_shown("#lost"))


def many(page, gateway):
    print("1,000 sessions")
    for number in range(1000):
        session_id = f"shop-{['eu', 'us', 'br', 'in'][number % 4]}-{number:04}"
        gateway.create(session_id)
        if number % 41 == 7:
            gateway.post(session_id, "connection.update", {"qr": CODES[1]})
            continue
        if number % 20 == 3:
            continue
        gateway.post(session_id, "creds.update", {"me": {"id": f"447700900{number:03}:1@s.whatsapp.net", "name": NAMES[number % 10] or None}})
        gateway.post(session_id, "connection.update", {"connection": "open"})
        if number % 16 == 5:
            gateway.post(session_id, "StreamReplaced", {})
    page.shows("#filters", "1,001")
    page.driver.get(gateway.url)
    started = time.monotonic()
    eventually(lambda: len(page.listed()) == 1001 and len(page.rows()) > 5, "1,001 sessions")
    print(f"    drawn {time.monotonic() - started:.2f} s after the navigation")
    check("all are listed, and only those drawn that can be seen", len(page.rows()) < 60)
    page.script("window.longest = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries()) "
                "window.longest = Math.max(window.longest, entry.duration); }).observe({ entryTypes: ['longtask'] })")
    for number in range(0, 1000, 2):
        gateway.request("PATCH", f"/sessions/shop-{['eu', 'us', 'br', 'in'][number % 4]}-{number:04}", {"name": f"name {number}"})
    eventually(lambda: page.script("return sessions.get('shop-br-0998').name") == "name 998", "the last name")
    print(f"    the longest task while 500 changed: {page.script('return window.longest'):.0f} ms")
    for number in range(0, 1000, 2):
        gateway.request("PATCH", f"/sessions/shop-{['eu', 'us', 'br', 'in'][number % 4]}-{number:04}", {"name": NAMES[number % 10] or None})
    page.find("#search").send_keys("br-099")
    eventually(lambda: page.rows() == ["shop-br-0990", "shop-br-0994", "shop-br-0998"], "the filtered rows")
    check("a text filters by id")
    page.find("#search").clear()
    page.find("#search").send_keys("ÁVILA")
    eventually(lambda: len(page.listed()) in range(50, 101), "the rows with this name")
    check("and by name")
    page.find("#search").clear()
    page.find("#search").send_keys("replaced")
    eventually(lambda: len(page.listed()) in range(40, 70), "the rows with this reason")
    check("and by reason")
    page.script("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")
    page.find("#filters button:last-child").click()
    eventually(lambda: set(page.script("return [...document.querySelectorAll('#list .badge')].map(b => b.textContent)")) == {"Disconnected"}, "disconnected ones only")
    check("a status filters")
    page.find("#filters button").click()

    gateway.request("DELETE", "/sessions/support")
    gateway.create("support")
    page.shows("#filters", "1,001")
    page.script("scrollTo(0, 0)")
    gateway.post("support", "connection.update", {"qr": CODES[0]})
    page.open_row("support")
    gateway.post("support", "connection.update", {"qr": CODES[1]})
    page.reads(CODES[1], "code-many")
    page.script("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot("desktop-light")
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        time.sleep(0.2)
        ratio, where = page.script(CONTRAST)
        check(f"texts are legible in {scheme}: the lowest contrast is {ratio:.1f}", ratio >= 4.5 or print(where))
        for layout in ["desktop", "phone"]:
            getattr(page, layout)()
            time.sleep(0.2)
            wrong = page.axe()
            check(f"axe finds nothing in {scheme} on a {layout}", not wrong or print(wrong))
        page.desktop()
        page.script("document.activeElement.blur(); scrollTo(0, 0)")
    page.screenshot("desktop-dark")
    page.scheme("light")


def token(page, directory):
    print("a token")
    path = os.path.join(directory, "token")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
        file.write("correct-horse-battery\n")
    with Gateway("--token-file", path) as gateway:
        page.driver.get(gateway.url)
        page.shows("#token", "Enter the gateway’s token")
        page.find("#token-text").send_keys("wrong" + Keys.ENTER)
        page.shows("#token-error", "Wrong token.")
        check("a wrong token is said to be wrong")
        page.find("#token-text").send_keys("correct-horse-battery" + Keys.ENTER)
        page.shows("#live", "Live")
        page.find("#new-id").send_keys("support" + Keys.ENTER)
        page.shows("#panel-id", "support")
        authorization = {"Authorization": "Bearer correct-horse-battery"}
        gateway.request("PATCH", "/sessions/support", {"status": "qr_waiting", "qrCode": CODES[0]}, authorization)
        page.reads(CODES[0], "code-token")
        check("the right one opens the page, and its pictures")
        with open(os.open(path + ".read", os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("battery-horse-correct\n")
        urls = page.script("return [location.href, ...performance.getEntriesByType('resource').map(entry => entry.name)]")
        check("it is in no URL", len(urls) > 2 and not any("correct-horse-battery" in url for url in urls))
    with Gateway("--token-file", path, "--read-token-file", path + ".read") as gateway:
        gateway.token = "correct-horse-battery"
        gateway.create("support")
        gateway.post("support", "connection.update", {"qr": CODES[0]})
        page.driver.get(gateway.url)
        page.script("sessionStorage.clear()")
        page.driver.get(gateway.url)
        page.shows("#token", "Enter the gateway’s token")
        page.find("#token-text").send_keys("battery-horse-correct" + Keys.ENTER)
        page.shows("#list", "support")
        page.open_row("support")
        page.shows("#code-note", "This token only reads")
        check("with a token that only reads there is no code, and nothing to press",
              page.read_code("only-reads") == "" and not page.is_shown("#orders") and not page.is_shown("#create"))


def main():
    with folder() as directory, contextlib.ExitStack() as stack:
        page = Page(sys.argv[1] if len(sys.argv) > 1 else directory)
        stack.callback(page.driver.quit)
        gateway = stack.enter_context(Gateway("--file", os.path.join(directory, "sessions.sqlite")))
        pairing(page, gateway)
        low(page, gateway)
        hostile(page, gateway)
        operate(page, gateway)
        counts = page.script("return counts")
        check("what it counts is what Prometheus is told", counts["all"] > 0 and counts["problems"] == gateway.metric("whatsapp_problems") and all(
            counts[status] == gateway.metric(f'whatsapp_sessions{{status="{status}"}}')
            for status in ["initializing", "qr_waiting", "connected", "disconnected"]))
        # Refused requests are errors to the browser.
        errors = page.unexpected_errors(["409 (Conflict)", "404 (Not Found)"])
        check("nothing went wrong in the browser", not errors or print(errors))
        lost(page, gateway)
        many(page, gateway)
        large(page, directory)
        token(page, directory)
        errors = page.unexpected_errors(["ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "401 (Unauthorized)", "ERR_INCOMPLETE", "404 (Not Found)"])
        check("nothing else went wrong in the browser", not errors or print(errors))
        check("no code is in the gateway's log", not any(code in line for code in CODES for line in gateway.log))
    print(f"{checks} checks passed")


if __name__ == "__main__":
    main()
