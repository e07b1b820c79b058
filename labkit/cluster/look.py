"""What `labkit check` sees: each page, on the lab's own network and through the host's ports, and who has the VIP.

Where the engine's 127.0.0.1 is not ours, a helper on the engine's host asks there.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

import requests

from labkit.cluster.lab import Lab
from labkit.language import Text, listed, same
from labkit.render import mark

TIMEOUT_S = 5
FETCH = "/usr/lib/labkit/fetch"

_OF_A_NODE = Text("page of {node}", "página de {node}")
_OF_THE_VIP = Text("page of the VIP", "página de la IP virtual")
_ON_ITS_HOST = Text("{url} on the engine's host", "{url} en la máquina del motor")
_NO_PAGE = Text("{url} shows no node's page ({trouble})", "{url} no muestra la página de ningún nodo ({trouble})")
_SHOULD = Text("{seen}, and {owners} should answer there", "{seen}, y allí debería responder {owners}")


@dataclass(frozen=True)
class Sight:
    """One look, judged. check: what was looked at; detail: what was seen, and what was expected if it differs."""

    check: Text
    verdict: Literal["pass", "fail", "unknown"]
    detail: Text


def look(lab: Lab) -> list[Sight]:
    """Gets the page from the nodes that serve and from the VIP, from the client and from this host."""
    owners = lab.owners()
    serving = list(lab.nodes) if lab.spec.service.is_apache else owners
    wanted = [
        (_OF_A_NODE.filled(node=name), str(node.address), [name])
        for name, node in lab.spec.nodes.items()
        if name in serving
    ] + [(_OF_THE_VIP, lab.vip, owners)]
    sights = [
        _page(lab, check, _url(lab, address), page, trouble, expected)
        for (check, address, expected), (page, trouble) in zip(
            wanted, _fetched(lab, [address for _, address, _ in wanted]), strict=True
        )
    ]
    return [*sights, _one_owner(lab, owners), *_through_ports(lab, serving, owners)]


def _url(lab: Lab, host: str) -> str:
    return f"http://{host}{lab.spec.service.path}"


def _fetched(lab: Lab, addresses: list[str]) -> list[tuple[str, str]]:
    """What the client gets from each address, and how it went. A service of one's own may tell its node in a header."""
    if lab.spec.service.given:
        return [_headed(lab.page(address)) for address in addresses]
    return _told(lab.client.ask(FETCH, *(_url(lab, address) for address in addresses)))


def _one_owner(lab: Lab, owners: list[str]) -> Sight:
    seen = Text(
        "{vip} is answered for by {owners} (ARP, asked by the client)",
        "por {vip} responde {owners} (ARP, preguntado por el cliente)",
    )
    return Sight(
        Text("one owner of the VIP", "un solo dueño de la IP virtual"),
        "pass" if len(owners) == 1 else "fail",
        seen.filled(vip=lab.vip, owners=_names(owners)),
    )


def _through_ports(lab: Lab, serving: list[str], owners: list[str]) -> list[Sight]:
    """The same pages as a user's browser gets them."""
    first, second = lab.spec.nodes
    ports = lab.spec.ports
    of_node = {ports.first_http: first, ports.second_http: second}
    wanted = {port: [name] for port, name in of_node.items() if name in serving} | {ports.vip_http: owners}
    published = lab.gateway.published()
    urls = [_url(lab, f"127.0.0.1:{published.get(inside, inside)}") for inside in wanted]
    local = lab.engine.is_local
    answers = [_asked_here(url) for url in urls] if local else _asked_there(lab, urls)
    checks = [same(url) if local else _ON_ITS_HOST.filled(url=url) for url in urls]
    return [
        _page(lab, check, url, page, trouble, expected)
        for check, url, (page, trouble), expected in zip(checks, urls, answers, wanted.values(), strict=True)
    ]


def _asked_here(url: str) -> tuple[str, str]:
    """(answer, trouble) of an address, asked from here."""
    try:
        answer = requests.get(url, timeout=TIMEOUT_S)
    except requests.RequestException as error:
        return "", type(error).__name__
    headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return headers + answer.text, f"status {answer.status_code}"


def _asked_there(lab: Lab, urls: list[str]) -> list[tuple[str, str]]:
    """(answer, trouble) of addresses, asked from the engine's host."""

    def asked(*command: str) -> str:
        return lab.engine.run_helper(lab.client.image, lab.name, [*command], network_mode="host")

    if lab.spec.service.given:
        return [_headed(asked("sh", "-c", f'curl -sSi -m {TIMEOUT_S} "$1" 2>&1 || true', "curl", url)) for url in urls]
    return _told(json.loads(asked(FETCH, *urls)))


def _told(fetched: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(page, trouble) of each address that the client's own command asked."""
    return [(one["page"], one["error"] or f"status {one['status']}") for one in fetched]


def _headed(answer: str) -> tuple[str, str]:
    """(answer, trouble) of what curl gives with headers: the first line has the status, or why there is none."""
    return answer, answer.partition("\r\n")[0].strip()


def _page(lab: Lab, check: Text, url: str, page: str, trouble: str, expected: list[str]) -> Sight:
    """Whether a page is that of exactly the one node that is expected."""
    shown = [name for name in lab.nodes if mark(lab.spec, name) in page]
    seen = (
        Text("{url} shows {page}", "{url} muestra {page}").filled(url=url, page=_mark(lab, shown[0]))
        if shown
        else _NO_PAGE.filled(url=url, trouble=trouble)
    )
    if len(expected) != 1:
        return Sight(check, "fail", _SHOULD.filled(seen=seen, owners=_names(expected)))
    if shown == expected:
        return Sight(check, "pass", seen)
    wanted = Text("{seen}, expected {page}", "{seen}, se esperaba {page}")
    return Sight(check, "fail", wanted.filled(seen=seen, page=_mark(lab, expected[0])))


def _mark(lab: Lab, node: str) -> str:
    return mark(lab.spec, node).strip()


def _names(nodes: list[str]) -> Text:
    return listed([same(node) for node in nodes], Text(" and ", " y ")) if nodes else Text("nobody", "nadie")
