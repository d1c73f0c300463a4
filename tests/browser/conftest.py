"""Headless Chromium, and the questions that the tests ask of a page."""

import pytest
from chromium import chromium

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
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def browser(driver):
    """Yield the browser; no test may leave a complaint in its console."""
    driver.set_window_size(*WINDOW)
    driver.get_log("browser")
    yield Browser(driver)
    assert driver.get_log("browser") == []
