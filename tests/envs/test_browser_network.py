"""The allow-list holds for every kind of request: the foreign site must never be asked."""

import asyncio
import http.server
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from foveate.actions.errors import NavigationFailed
from foveate.actions.guard import Limits
from foveate.actions.schema import Click, Navigate, Wait
from foveate.envs.browser import BrowserEnv
from foveate.envs.network import network_flags

pytestmark = pytest.mark.browser

Make = Callable[..., BrowserEnv]

BY_ITSELF = """
<title>all</title><img src="{f}/image"><iframe src="{f}/frame"></iframe><iframe src="/hop-frame"></iframe>
<script src="{f}/script"></script><link rel=stylesheet href="{f}/style"><link rel=prefetch href="{f}/prefetch">
<link rel=preconnect href="{f}/"><link rel=dns-prefetch href="{f}/">
<video src="{f}/video" autoplay></video><object data="{f}/object"></object>
<form id=form method=post action="{f}/form" target=inner></form><iframe name=inner></iframe>
<script>
  fetch('{f}/fetch').catch(() => 0);
  fetch('/hop-fetch').catch(() => 0);
  navigator.sendBeacon('{f}/beacon', 'x');
  new WebSocket('ws://{h}/socket');
  new EventSource('{f}/events');
  new Worker(URL.createObjectURL(new Blob([`fetch('{f}/worker').catch(() => 0)`])));
  navigator.serviceWorker.register('/service.js').catch(() => 0);
  form.submit();
  const peer = new RTCPeerConnection({{iceServers: [{{urls: 'stun:127.0.0.2:{stun}'}}]}});
  peer.createDataChannel('x');
  peer.createOffer().then((offer) => peer.setLocalDescription(offer));
</script>
"""


async def test_nothing_that_a_page_asks_by_itself_reaches_a_host_outside(browser_env: Make, site, foreign) -> None:
    stun = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stun.bind(("127.0.0.2", 0))
    stun.setblocking(False)
    site.redirect("/hop-frame", foreign.url("/hop-frame"))
    site.redirect("/hop-fetch", foreign.url("/hop-fetch"))
    site.page("/service.js", "")
    site.pages["/service.js"].body = f"addEventListener('install', () => fetch('{foreign.url('/service')}'))"
    site.pages["/service.js"].headers = {"Content-Type": "text/javascript"}
    body = BY_ITSELF.format(f=foreign.url(""), h=f"127.0.0.2:{foreign.port}", stun=stun.getsockname()[1])
    async with browser_env(site.page("/", body)) as env:
        await env.reset()
        observation = (await env.step(Wait(duration_s=1.0))).observation
        assert observation.title == "all"
        assert foreign.asked == []
        assert env.blocked()["127.0.0.2"] >= 8
    with stun, pytest.raises(BlockingIOError):
        stun.recvfrom(100)


async def test_what_was_blocked_is_an_event_with_the_remedy(browser_env: Make, site, foreign) -> None:
    async with browser_env(site.page("/", f"<img src={foreign.url('/image')}>")) as env:
        events = (await env.reset()).events
        texts = [event.text for event in events if event.kind == "blocked"]
        assert texts == ["1 request to 127.0.0.2: not sent (--allow 127.0.0.2)"]


PRESSES = {
    "link": "<a href='{f}/link'>",
    "redirected link": "<a href='/hop'>",
    "popup": "<a onclick=\"window.open('{f}/popup')\">",
    "redirected popup": "<a onclick=\"window.open('/hop')\">",
    "blank target": "<a target=_blank href='{f}/blank'>",
    "form": "<form method=post action='{f}/form'><a onclick='this.parentNode.submit()'>",
    "script": "<a onclick=\"location = '{f}/script'\">",
    "refresh": "<a onclick=\"document.head.innerHTML = '<meta http-equiv=refresh content=0;url={f}/refresh>'\">",
}


async def test_no_press_leads_to_a_host_outside(browser_env: Make, site, foreign) -> None:
    site.redirect("/hop", foreign.url("/hop"))
    style = "<style>a{position:fixed;inset:0;background:#ccc}</style>"
    async with browser_env(site.page("/", style), viewport=(320, 240)) as env:
        for name, body in PRESSES.items():
            site.page("/", style + body.format(f=foreign.url("")) + "press")
            observation = await env.reset()
            before = env.blocked().get("127.0.0.2", 0)
            step = await env.step(Click(at=observation.frame.from_input(100, 100)))
            if env.blocked().get("127.0.0.2", 0) == before:
                step = await env.step(Wait(duration_s=0.3))
            assert env.blocked()["127.0.0.2"] > before, name
            assert step.error is None
            assert foreign.asked == [], name


@pytest.mark.parametrize("body", ["<a onclick=\"window.open('{}')\">", "<a target=_blank href='{}'>"])
async def test_a_popup_that_is_blocked_is_named_by_the_address_that_it_asked_for(
    browser_env: Make, site, foreign, body: str
) -> None:
    style = "<style>a{position:fixed;inset:0;background:#ccc}</style>"
    address = foreign.url("/popup?x=1")
    async with browser_env(site.page("/", style + body.format(address) + "press"), viewport=(320, 240)) as env:
        observation = await env.reset()
        opened = (await env.step(Click(at=observation.frame.from_input(100, 100)))).observation
        assert f"a new tab opened: {address} did not load" in [event.text for event in opened.events]
        assert opened.url == address


async def test_an_address_outside_is_refused_by_the_environment_itself(browser_env: Make, site, foreign) -> None:
    async with browser_env(site.page("/", "home")) as env:
        await env.reset()
        for url in (
            foreign.url("/"),
            "javascript:alert(1)",
            "data:text/html,x",
            "chrome://version",
            "file:///etc/passwd",
        ):
            step = await env.step(Navigate(url=url))
            assert step.applied is None
            assert step.error is not None and step.error.startswith("UnsupportedAction: ")
        assert foreign.asked == []


async def test_an_allowed_host_is_asked(browser_env: Make, site, foreign) -> None:
    limits = Limits(allow=("127.0.0.1", "127.0.0.2"))
    async with browser_env(site.page("/", f"<img src={foreign.url('/image')}>"), limits=limits) as env:
        await env.reset()
        assert foreign.asked == ["/image"]
        assert env.blocked() == {}


async def test_a_star_intercepts_nothing(browser_env: Make, site, foreign) -> None:
    assert network_flags(Limits(allow=("*",))) == ()
    async with browser_env(site.page("/", f"<img src={foreign.url('/i')}>"), limits=Limits(allow=("*",))) as env:
        await env.reset()
        assert foreign.asked == ["/i"]


async def test_a_start_outside_the_list_is_refused_with_the_remedy(browser_env: Make, foreign) -> None:
    env = browser_env(foreign.url("/"), limits=Limits(allow=("example.org",)))
    with pytest.raises(NavigationFailed, match=r"127\.0\.0\.2 is outside the allowed hosts.*--allow 127\.0\.0\.2"):
        await env.open()
    assert foreign.asked == []


async def test_a_start_that_redirects_outside_names_where_to(browser_env: Make, site, foreign) -> None:
    site.redirect("/", foreign.url("/landing"))
    async with browser_env(site.url("/")) as env:
        with pytest.raises(NavigationFailed, match=r"leads to 127\.0\.0\.2.*--allow 127\.0\.0\.2"):
            await env.reset()
    assert foreign.asked == []


async def test_files_outside_the_folder_are_not_read(browser_env: Make, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    await asyncio.to_thread(folder.mkdir)

    def write() -> None:
        (tmp_path / "outside.js").write_text("window.outside = true")
        (folder / "inside.js").write_text("window.inside = true")
        (folder / "link.js").symlink_to(tmp_path / "outside.js")
        scripts = "".join(f"<script src={name}></script>" for name in ("inside.js", "../outside.js", "link.js"))
        (folder / "page.html").write_text(f"{scripts}<iframe src=../outside.js></iframe>")

    await asyncio.to_thread(write)
    async with browser_env(str(folder / "page.html")) as env:
        await env.reset()
        assert await env.page.evaluate("[window.inside, window.outside]") == [True, None]
        assert env.blocked()[str(tmp_path / "outside.js")] == 2
        assert env.blocked()[str(folder / "link.js")] == 1


class SixServer(http.server.ThreadingHTTPServer):
    """A server on this machine's IPv6 address."""

    address_family = socket.AF_INET6


async def test_a_page_of_an_ipv6_address_loads(browser_env: Make) -> None:
    try:
        server = SixServer(("::1", 0), http.server.SimpleHTTPRequestHandler)
    except OSError:
        pytest.skip("this machine has no IPv6")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        async with browser_env(f"http://[::1]:{server.server_address[1]}/", viewport=(320, 240)) as env:
            assert (await env.reset()).url.startswith("http://[::1]:")
    finally:
        server.shutdown()
        server.server_close()
