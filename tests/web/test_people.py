"""People in the browser: how they sign in, what their role lets them see, and their own profile."""

import re
from typing import Any

from playwright.sync_api import expect

from tests.web.conftest import PASSWORD, Stage

SECRET = "k1_"


def test_the_link_of_k1_up_signs_an_administrator_in_once(stage: Stage, visit: Any) -> None:
    """It leads to the library, leaves no token in the address, and does not work again."""
    link = stage.system.stack.sign_in_link
    first = visit()
    page = first.open(link)
    page.wait_for_url("**/tracks")
    expect(page.get_by_role("grid", name="Tracks")).to_be_visible()
    page.reload()
    page.get_by_role("button", name="Account").click()
    expect(page.get_by_role("menuitem", name="Users")).to_be_visible()

    second = visit()
    second.excuse("400")
    page = second.open(link)
    expect(page.get_by_role("alert")).to_contain_text("The link did not work")
    assert "token" not in page.url


def test_a_password_signs_in_and_a_wrong_one_says_so(stage: Stage, visit: Any) -> None:
    """An address inside the page leads there after the sign-in; signing out ends the session."""
    visitor = visit()
    visitor.excuse("401")
    page = visitor.open("/profile")
    page.wait_for_url("**/sign-in?next=%2Fprofile")
    page.get_by_label("E-mail address").fill(stage.emails["viewer"])
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Profile and security")).to_be_visible()
    assert page.url.endswith("/profile")

    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.wait_for_url(re.compile(r"/sign-in"))
    page.goto("/tracks")
    page.wait_for_url(re.compile(r"/sign-in"))


def test_a_viewer_sees_no_button_that_changes_something(stage: Stage, visit: Any) -> None:
    """No upload, no editing, no deleting, no users; neither by keyboard."""
    visitor = visit("viewer")
    page = visitor.open(f"/tracks/{stage.tracks['Blue hour']}")
    expect(page.get_by_role("heading", name="Blue hour")).to_be_visible()
    expect(page.get_by_role("img", name="Waveform with beats")).to_be_visible()
    for name in ("Upload", "Save", "Insert a beat at the playhead", "Undo"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    page.goto("/users")
    expect(page.get_by_role("alert")).to_contain_text("You may not do this")


def test_an_operator_uploads_and_edits(stage: Stage, visit: Any) -> None:
    """The same buttons are there for who may use them."""
    page = visit("operator").open(f"/tracks/{stage.tracks['Blue hour']}")
    expect(page.get_by_role("button", name="Upload")).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()


def test_a_key_is_shown_once_and_can_be_revoked(stage: Stage, visit: Any) -> None:
    """Its secret works until then."""
    page = visit("operator").open("/profile/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_label("Name").fill("light desk")
    page.get_by_role("dialog").get_by_role("button", name="New key").click()
    secret = page.get_by_role("dialog", name="Your new key").get_by_label("Key").input_value()
    assert secret.startswith(SECRET)
    page.get_by_role("button", name="I have copied it").click()
    row = page.get_by_role("row").filter(has_text="light desk")
    expect(row).to_contain_text("Viewer")
    assert secret not in page.content()

    page.get_by_role("button", name="Revoke the key light desk").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)


def test_an_administrator_changes_a_role(stage: Stage, visit: Any) -> None:
    """The page of users invites, and changes roles in place."""
    page = visit("admin").open("/users")
    page.get_by_role("button", name="Invite").click()
    page.get_by_role("dialog").get_by_label("E-mail address").fill("new@example.org")
    page.get_by_role("dialog").get_by_label("Name").fill("Newcomer")
    page.get_by_role("dialog").get_by_role("button", name="Invite").click()
    expect(page.get_by_role("row").filter(has_text="new@example.org")).to_contain_text("Invited")
    page.get_by_label("Role of Newcomer").select_option("editor")
    expect(page.get_by_text("Newcomer is Editor now")).to_be_visible()
    (user,) = stage.call("GET", "/users", params={"search": "new@example.org"})["items"]
    assert user["role"] == "editor"
