"""Uses the pages of the webapi as a developer does, in Debian's Chromium."""

import json
import pathlib
import shutil
import socketserver
import sys
import tempfile
import threading

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

OPTIONS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --window-size=1280,900
"""


def main():
    case = json.load(sys.stdin)
    with Elsewhere() as elsewhere, tempfile.TemporaryDirectory() as profile:
        browser = start(profile, elsewhere)
        try:
            send(browser, case)
            read(browser, case)
            expect(errors(browser), [])
            hostile_html(browser, case)
            wrong_password(browser, case)
            without_javascript(browser, case)
            expect(elsewhere.asked, [])
        finally:
            browser.quit()
    print("ok")


class Elsewhere(socketserver.ThreadingTCPServer):
    """The host outside.example, as the browser sees it."""

    def __init__(self):
        self.asked = []
        super().__init__(("127.0.0.1", 0), None)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        self.asked.append(request.recv(1000))


def start(profile, elsewhere):
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    hosts = f"MAP outside.example 127.0.0.1:{elsewhere.server_address[1]}"
    for option in OPTIONS.split() + [f"--user-data-dir={profile}", f"--host-resolver-rules={hosts}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(program("chromedriver")))


def program(name):
    return shutil.which(name) or sys.exit(f"{name} is missing: run tests/setup")


def send(browser, case):
    """From the index to the page of Send, whose request is edited and sent with a file."""
    browser.get(case["index"])
    screenshot(browser, case, "index")
    main = browser.find_element(By.TAG_NAME, "main")
    main.find_element(By.LINK_TEXT, "Send").click()
    request = browser.find_element(By.ID, "request")
    expect(json.loads(request.get_property("value"))["Subject"], "Hello")
    request.clear()
    request.send_keys('{"To": [{"Address": "it\'s@remote.example"}], "Subject": "from a browser", "Text": "hi"}')
    with tempfile.TemporaryDirectory() as files:
        notes = pathlib.Path(files) / "notes.txt"
        notes.write_text("attached")
        browser.find_element(By.NAME, "attachedfile").send_keys(str(notes))
        curl = text(browser, "curl")
        for part in ("curl --user rider@localhost ", "it'\\''s@remote.example", """'attachedfile=@"notes.txt"'"""):
            expect(part in curl, True, curl)
        expect(call(browser), "200 OK")
    answer = json.loads(text(browser, "body"))
    expect(answer["MessageID"].startswith("<"), True, answer)
    expect([submission["Address"] for submission in answer["Submissions"]], ["it's@remote.example"])
    screenshot(browser, case, "sent")


def read(browser, case):
    """The mail with HTML is shown as JSON and as text."""
    browser.get(case["index"] + "MessageGet")
    expect(call(browser), "200 OK")
    message = json.loads(text(browser, "body"))["Message"]
    expect((message["Subject"], message["HTML"]), ("hostile", case["hostile"] + "\n"))
    browser.get(case["index"] + "MessageRawGet")
    expect(call(browser), "200 OK")
    expect("Subject: hostile" in text(browser, "body"), True)
    expect(browser.execute_script("return window.harm"), None)


def hostile_html(browser, case):
    """An HTML part is shown, with its styles, but does nothing."""
    browser.get(case["index"] + "MessagePartGet")
    request = browser.find_element(By.ID, "request")
    request.clear()
    request.send_keys('{"MsgID": 1, "PartPath": []}')
    expect(call(browser), "200 OK")
    frame = browser.find_element(By.CSS_SELECTOR, "#body iframe")
    expect(frame.get_dom_attribute("sandbox"), "")
    browser.switch_to.frame(frame)
    mail = browser.find_element(By.ID, "mail")
    expect((mail.text, mail.value_of_css_property("color")), ("mail", "rgba(255, 0, 0, 1)"))
    browser.switch_to.default_content()
    expect(browser.execute_script("return window.harm"), None)
    errors(browser)


def wrong_password(browser, case):
    """The page says so; the browser asks for no other login."""
    browser.get(case["index"] + "SuppressionList")
    for password, status in (("wrong", "401 Unauthorized"), (case["password"], "200 OK")):
        field = browser.find_element(By.ID, "password")
        field.clear()
        field.send_keys(password)
        expect(call(browser), status)


def without_javascript(browser, case):
    """The form alone is a call; the browser asks for the login, which is in the address here."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    login = f"{case['user'].replace('@', '%40')}:{case['password']}@"
    browser.get(case["index"].replace("://", "://" + login) + "SuppressionPresent")
    expect(browser.find_element(By.ID, "login").is_displayed(), False)
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    wait(browser, lambda: '"Present":false' in browser.find_element(By.TAG_NAME, "body").text)


def call(browser):
    """Presses the button; the status of the answer."""
    browser.execute_script("document.getElementById('status').textContent = ''")
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    return wait(browser, lambda: text(browser, "status")).split(" ·")[0]


def wait(browser, fact):
    patience = WebDriverWait(browser, 30, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException])
    return patience.until(lambda _: fact())


def text(browser, id):
    return browser.find_element(By.ID, id).text


def errors(browser):
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] != "INFO"]


def screenshot(browser, case, name):
    directory = pathlib.Path(case["screenshots"])
    directory.mkdir(exist_ok=True)
    browser.save_screenshot(str(directory / f"{name}.png"))


def expect(found, expected, about=""):
    if found != expected:
        sys.exit(f"{found!r} instead of {expected!r} {about}")


main()
