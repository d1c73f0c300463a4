"""Headless Chromium, and the questions that the tests ask of a page."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
WINDOW = (1300, 900)


class Browser:
    """Opens pages from disk, as a person does, and asks what is on them."""

    def __init__(self, driver):
        from selenium.webdriver.support.wait import WebDriverWait

        self.driver = driver
        self._wait = WebDriverWait(driver, 20, poll_frequency=0.05)

    def open(self, url):
        # A page of its own between two visits: a new hash alone would not load again.
        self.driver.get("about:blank")
        self.driver.get(url)
        self.until("document.querySelector('main :is(.cell, .map), .message')")

    def ask(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def until(self, expression):
        self._wait.until(lambda _: self.ask(expression), expression)

    def texts(self, selector):
        return self.ask(
            f"[...document.querySelectorAll(`{selector}`)].map(e => e.textContent)"
        )

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def click(self, selector):
        self.find(selector).click()

    def hover(self, selector):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).move_to_element(self.find(selector)).perform()

    def press(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("chromium or chromedriver not found")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in [
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ]:
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(CHROMEDRIVER)
    )
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    """Yield the browser; no test may leave a complaint in its console."""
    driver.set_window_size(*WINDOW)
    driver.get_log("browser")
    yield Browser(driver)
    assert driver.get_log("browser") == []
