"""A headless Chromium, driven through its DevTools protocol: what a page does, says and asks the network for."""

import asyncio
import base64
import shutil
import subprocess
import time
from pathlib import Path

import aiohttp

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE_S = 20
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
INSTALL = "no Chromium on this machine: sudo apt-get install chromium (Debian, Ubuntu), or put one on the PATH"


class Browser:
    """One page of one browser. `events` is all that it reported since it was opened."""

    def __init__(self, program, profile):
        self.events, self._calls, self._runner = [], 0, asyncio.Runner()
        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._runner.run(self._connect(Path(profile) / "DevToolsActivePort"))
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    async def _connect(self, ports):
        end = time.monotonic() + PATIENCE_S
        while not (ports.exists() and ports.read_text().count("\n")):
            assert time.monotonic() < end, "Chromium did not start"
            await asyncio.sleep(0.05)
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{ports.read_text().split()[0]}/json") as answer:
            page = next(each for each in await answer.json() if each["type"] == "page")
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)

    def call(self, method, **parameters):
        return self._runner.run(asyncio.wait_for(self._call(method, parameters), PATIENCE_S))

    async def _call(self, method, parameters):
        self._calls += 1
        number = self._calls
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def js(self, expression):
        """The value of an expression in the page; an exception there fails the test."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, page, *, width=1280, height=900):
        """page: a file, or an address."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        for address in (
            "about:blank",
            page.as_uri() if isinstance(page, Path) else page,
        ):  # away first, so that every event after it is this page's own
            self.events.clear()
            self.call("Page.navigate", url=address)
            self._runner.run(asyncio.wait_for(self._reported("Page.loadEventFired"), PATIENCE_S))
        self.call("Page.bringToFront")  # a page without the focus may not write to the clipboard

    async def _reported(self, method):
        while not any(each["method"] == method for each in self.events):
            self.events.append(await self._socket.receive_json())

    def wait_for(self, condition, *, seconds):
        """Until the expression is true in the page; the page's text is in the error where it never is."""
        end = time.monotonic() + seconds
        while not self.js(condition):
            assert time.monotonic() < end, (
                f"never true: {condition}; the page says: {self.js('document.body.innerText')}"
            )
            time.sleep(0.2)

    def screenshot(self):
        """What is seen, PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def press(self, key, code):
        for kind, text in (("keyDown", "\r"), ("keyUp", "")):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)

    def complaints(self):
        """What stands on the console."""
        self.js("new Promise(done => setTimeout(done, 50))")
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [each for each in self.events if each["method"] in kinds]

    def requests(self):
        """Addresses that were asked for, those inside the page apart."""
        sent = [
            each["params"]["request"]["url"] for each in self.events if each["method"] == "Network.requestWillBeSent"
        ]
        return [each for each in sent if not each.startswith("data:")]

    def close(self):
        self._runner.run(self._session.close())
        self._runner.close()
        self._process.terminate()
        self._process.wait()
