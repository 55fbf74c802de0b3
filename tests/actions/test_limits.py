"""What an episode may reach: hosts, files and secrets."""

import pytest

from foveate.actions.errors import UsageError
from foveate.actions.geometry import PixelBox
from foveate.actions.limits import Limits, Secret, covers, default_allow, host_of, normal_host

SITE = Limits(allow=("example.org",))
FOLDER = Limits().for_start("file:///home/me/site/index.html")


@pytest.mark.parametrize(
    ("start", "allow"),
    [
        ("https://example.org/a", ("example.org",)),
        ("https://www.example.org/a", ("example.org",)),
        ("https://shop.example.org:8443/", ("shop.example.org",)),
        ("https://WWW.Example.ORG./", ("example.org",)),
        ("https://www.com/", ("www.com",)),
        ("http://10.0.0.1:8000/", ("10.0.0.1",)),
        ("http://[fe80::1]/", ("fe80::1",)),
        ("http://localhost:8000/", ("localhost", "127.0.0.1", "::1")),
        ("http://127.0.0.1/", ("localhost", "127.0.0.1", "::1")),
        ("http://[::1]:80/", ("localhost", "127.0.0.1", "::1")),
        ("http://127.0.0.2/", ("127.0.0.2",)),
        ("file:///home/me/site/index.html", ("file:///home/me/site/", "localhost", "127.0.0.1", "::1")),
        ("file:///a%20b/c.html", ("file:///a%20b/", "localhost", "127.0.0.1", "::1")),
        ("about:blank", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_the_default_list_is_the_host_or_folder_of_the_start_address(start: str | None, allow: tuple[str, ...]) -> None:
    assert default_allow(start) == allow
    assert Limits().for_start(start).allow == allow


def test_a_list_that_was_given_is_the_whole_list() -> None:
    assert Limits(allow=("a.org",)).for_start("https://b.org").allow == ("a.org",)
    assert Limits(allow=()).for_start("https://b.org").allow == ()


def test_nothing_is_permitted_before_the_default_list_is_filled_in() -> None:
    assert not Limits().permits("https://example.org/")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org:8080/path?q=1#x",
        "https://www.example.org/",
        "https://a.b.c.example.org/",
        "HTTPS://EXAMPLE.ORG/",
        "https://example.org./",
        "https://user:password@example.org/",
        "ws://example.org/socket",
        "wss://live.example.org/socket",
        "https://example.org/#@evil.com",
    ],
)
def test_an_entry_covers_the_host_and_its_subdomains_at_any_port(url: str) -> None:
    assert SITE.refusal(url) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://evil.com/", "evil.com is outside the allowed hosts (example.org): --allow evil.com"),
        ("https://notexample.org/", "outside"),
        ("https://example.org.evil.com/", "outside"),
        ("https://org/", "outside"),
        ("https://example.org@evil.com/", "evil.com is outside"),
        ("https://example.org:80@evil.com/", "evil.com is outside"),
        ("https://evil.com\\@example.org/", "backslashes"),
        ("https://evil.com\\.example.org/", "backslashes"),
        ("https:\\\\evil.com", "backslashes"),
        ("https://exam\tple.org/", "control characters"),
        ("https://example.org\n.evil.com/", "control characters"),
        (" https://example.org/", "blanks"),
        ("https://example.org /", "blanks"),
        ("java\nscript:alert(1)", "control characters"),
        ("javascript:alert(1)", "javascript: is not permitted"),
        ("JavaScript:alert(1)//https://example.org", "javascript: is not permitted"),
        ("data:text/html,<script>", "data: is not permitted"),
        ("chrome://settings", "chrome: is not permitted"),
        ("chrome-extension://abc/x", "not permitted"),
        ("about:blank", "about: is not permitted"),
        ("view-source:https://example.org", "not permitted"),
        ("blob:https://example.org/1", "blob: is not permitted"),
        ("ftp://example.org/", "ftp: is not permitted"),
        ("filesystem:https://example.org/x", "not permitted"),
        ("file:///etc/passwd", "outside the allowed folders"),
        ("example.org", "has no scheme"),
        ("//example.org/", "has no scheme"),
        ("", "has no scheme"),
        ("https://", "names no host"),
        ("https:example.org", "names no host"),
        ("https:///example.org", "names no host"),
        ("https://example.org:99999/", "no address"),
        ("https://[::1/", "no address"),
        ("https://%65xample.org/", "outside"),
        ("https://example.org%2eevil.com/", "outside"),
        ("http://2130706433/", "outside"),
        ("http://0x7f.1/", "outside"),
    ],
)
def test_anything_else_is_refused_with_the_reason(url: str, reason: str) -> None:
    refusal = SITE.refusal(url)
    assert refusal is not None and reason in refusal
    assert not SITE.permits(url)


def test_an_ip_address_covers_itself_only() -> None:
    limits = Limits(allow=("10.0.0.1", "fe80::1"))
    assert limits.permits("http://10.0.0.1:81/") and limits.permits("http://[FE80:0::1]/")
    for host in ("10.0.0.10", "1.10.0.0.1", "a.10.0.0.1", "10.0.0.2", "[fe80::2]"):
        assert not limits.permits(f"http://{host}/")


def test_this_machine_is_one_host_by_three_names_and_no_other() -> None:
    for name in ("localhost", "127.0.0.1", "::1", "[::1]"):
        limits = Limits(allow=(name,))
        assert all(limits.permits_host(host) for host in ("localhost", "127.0.0.1", "::1", "LOCALHOST."))
        assert not any(limits.permits_host(host) for host in ("127.0.0.2", "0.0.0.0", "::ffff:127.0.0.1", "::"))
    assert not SITE.permits_host("localhost")


def test_a_star_opens_every_host_but_no_file_and_no_scheme() -> None:
    limits = Limits(allow=("*",))
    assert limits.open_to_all
    assert limits.permits("https://anything.example/") and limits.permits("http://10.1.2.3/")
    for url in ("file:///etc/passwd", "javascript:1", "data:,x", "chrome://version", "https://evil.com\\@a/"):
        assert not limits.permits(url)
    assert not SITE.open_to_all and not Limits().open_to_all


@pytest.mark.parametrize(
    "url",
    [
        "file:///home/me/site/index.html",
        "file:///home/me/site/sub/page.html?q=1#a",
        "file://localhost/home/me/site/a.html",
        "file:/home/me/site/a.html",
        "FILE:///home/me/site/a.html",
        "file:///home/me/site/a%20b.html",
    ],
)
def test_a_file_of_the_folder_may_be_opened(url: str) -> None:
    assert FOLDER.refusal(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "file:///home/me/other.html",
        "file:///home/me/sitemap.html",
        "file:///home/me/site/../secret",
        "file:///home/me/site/%2e%2e/secret",
        "file:///home/me/site/%2E./secret",
        "file:///home/me/site/..%2f..%2fetc/passwd",
        "file:///home/me/site/a%5c..%5c..%5csecret",
        "file:///home/me/site/a%00.html",
        "file://server/home/me/site/a.html",
        "file:home/me/site/a.html",
        "file:///",
    ],
)
def test_a_file_outside_the_folder_may_not(url: str) -> None:
    assert FOLDER.refusal(url) is not None


def test_a_file_start_also_opens_this_machine_and_a_web_start_does_not() -> None:
    assert FOLDER.permits("http://localhost:8000/")
    assert not FOLDER.permits("http://example.org/")
    assert not Limits().for_start("https://example.org").permits("http://localhost/")


def test_folders_are_not_hosts() -> None:
    assert FOLDER.hosts() == ("localhost", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    "entry", ["https://example.org", "example.org/path", "example.org:80", "", "a b", "-x.org", "."]
)
def test_an_entry_that_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="no host name"):
        Limits(allow=(entry,))


def test_hosts_are_compared_in_one_form() -> None:
    assert normal_host(" Example.ORG. ") == "example.org"
    assert normal_host("пример.рф") == normal_host("xn--e1afmkfd.xn--p1ai")
    assert normal_host("[::1]") == normal_host("0:0:0:0:0:0:0:1") == "::1"
    assert Limits(allow=("пример.рф",)).permits("https://www.xn--e1afmkfd.xn--p1ai/")
    assert host_of("https://User@Example.org:1/x") == "example.org"
    assert host_of("nonsense") is None and host_of("https://[x") is None
    assert covers("example.org", "a.example.org") and not covers("a.example.org", "example.org")


@pytest.mark.parametrize("host", ["faß.de", "βόλος.com", "a\u200db.org"])
def test_a_host_that_browsers_read_otherwise_must_be_written_in_ascii(host: str) -> None:
    with pytest.raises(UsageError, match="ASCII"):
        normal_host(host)
    assert not Limits(allow=("*",)).permits(f"https://{host}/")


# Secrets ------------------------------------------------------------------------------------------------------------


def test_a_secret_does_not_show_its_value() -> None:
    secret = Secret("hunter2", ("example.org",))
    limits = Limits(secrets={"password": secret})
    assert "hunter2" not in repr(secret) and "hunter2" not in str(secret) and "hunter2" not in repr(limits)
    assert "example.org" in repr(secret)


def test_a_secret_belongs_to_its_hosts_and_their_subdomains() -> None:
    secret = Secret("v", ("Example.org",))
    assert secret.belongs_to("https://example.org") and secret.belongs_to("https://login.example.org:8443")
    for origin in ("https://example.com", "https://notexample.org", "https://example.org@evil.com", "null", "", None):
        assert not secret.belongs_to(origin)


@pytest.mark.parametrize(("value", "hosts"), [("", ("a.org",)), ("v", ())])
def test_a_secret_without_value_or_host_is_refused(value: str, hosts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="secret"):
        Secret(value, hosts)


@pytest.mark.parametrize("name", ["", "a b", "1a", "a-b", "a}}", "{{a"])
def test_a_secret_has_a_name_that_a_placeholder_can_hold(name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        Limits(secrets={name: Secret("v", ("a.org",))})


def test_values_of_secrets_are_replaced_by_their_placeholders() -> None:
    short, long = Secret("abc", ("a.org",)), Secret("abcdef", ("a.org",))
    limits = Limits(secrets={"short": short, "long": long, "odd": Secret("s.o+rt", ("a.org",))})
    assert limits.mask_secrets("x abcdef y abc s.o+rt sxort") == "x {{long}} y {{short}} {{odd}} sxort"
    assert Limits().mask_secrets("abc") == "abc"


def test_the_value_of_one_secret_inside_the_name_of_another_is_left_alone() -> None:
    limits = Limits(secrets={"password": Secret("xyz", ("a.org",)), "other": Secret("word", ("a.org",))})
    assert limits.mask_secrets("xyz word") == "{{password}} {{other}}"


def test_limits_are_frozen_and_their_secrets_cannot_be_changed_from_outside() -> None:
    secrets = {"a": Secret("v", ("a.org",))}
    limits = Limits(secrets=secrets, masks=(PixelBox(0, 0, 1, 1),), files=("/tmp/a.txt",))
    secrets["b"] = Secret("w", ("b.org",))
    assert list(limits.secrets) == ["a"]
    with pytest.raises(TypeError):
        limits.secrets["c"] = secrets["b"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        limits.allow = ("*",)  # type: ignore[misc]


@pytest.mark.parametrize("host", ["ü" * 70 + ".example", "ü..example"])
def test_a_name_that_has_no_ascii_form_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="is no host name"):
        normal_host(host)
    assert host_of(f"https://{host}/") is None
    assert not Limits(allow=("*",)).permits_host(host)
