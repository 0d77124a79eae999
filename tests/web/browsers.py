"""A person at a browser window: opens pages, and sees to it that nothing goes wrong in the background."""

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect

PATIENCE_MS: Final = 30_000
DESKTOP: Final[ViewportSize] = {"width": 1440, "height": 900}
TABLET: Final[ViewportSize] = {"width": 900, "height": 1100}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}

expect.set_options(timeout=PATIENCE_MS)


class Visitor:
    """A browser window with cookies and storage of its own."""

    def __init__(
        self, browser: Browser, url: str, *, size: ViewportSize | None = None, **options: Any
    ) -> None:
        self.url = url
        self.context = browser.new_context(
            base_url=url, viewport=size or DESKTOP, reduced_motion="reduce", locale="en-GB", **options
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.excused: list[str] = []
        """Parts of messages that a test provokes on purpose."""
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def excuse(self, *parts: str) -> None:
        """Accept messages that contain one of these: the test provokes them."""
        self.excused += parts

    def sign_in(self, email: str, password: str) -> None:
        """Sign in with a password, and wait for the library."""
        self.page.goto("/sign-in")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/tracks")

    def open(self, path: str) -> Page:
        """Open an address, and return the page."""
        self.page.goto(path)
        return self.page

    def row(self, title: str) -> Any:
        """Return the row of a track in the library."""
        return self.page.get_by_role("row").filter(has_text=title)

    def assert_accessible(self, part: str | None = None) -> None:
        """Assert that axe finds nothing wrong in the page, or in the part of it that a selector names."""
        found = Axe().run(self.page, context=part).response["violations"]
        report = [
            f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
            for each in found
        ]
        assert report == [], f"{self.page.url}: {report}"

    def assert_fits(self) -> None:
        """Assert that nothing is wider than the window."""
        widths = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], f"{self.page.url} is {widths[0]} px wide in {widths[1]} px"

    def assert_quiet(self) -> None:
        """Assert that the browser reported no error, no warning and no violation of the policy."""
        left = [text for text in self.complaints if not any(part in text for part in self.excused)]
        assert left == [], f"{self.page.url}: {left}"

    def close(self, picture: Path | None = None) -> None:
        """Close the window, after a last look at what it reported."""
        try:
            if picture is not None and not self.page.is_closed():
                self.page.screenshot(path=picture)
            self.assert_quiet()
        finally:
            self.context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.context.close()
