"""What `labkit check` sees: each page, on the lab's own network and through the host's ports, and who has the VIP."""

from dataclasses import dataclass
from typing import Literal

import requests

from labkit.cluster.lab import Lab
from labkit.language import Text, listed, same
from labkit.render import mark

TIMEOUT_S = 5

_OF_A_NODE = Text("page of {node}", "página de {node}")
_OF_THE_VIP = Text("page of the VIP", "página de la IP virtual")
_ELSEWHERE = Text(
    "the engine is at {where}, and its loopback is not ours", "el motor está en {where}, y su loopback no es el nuestro"
)
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
        return [(page, page.partition("\r\n")[0].strip()) for page in map(lab.page, addresses)]
    answers = lab.client.ask("/usr/lib/labkit/fetch", *(_url(lab, address) for address in addresses))
    return [(one["page"], one["error"] or f"status {one['status']}") for one in answers]


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
    sights = []
    for inside, expected in wanted.items():
        url = _url(lab, f"127.0.0.1:{published.get(inside, inside)}")
        if not lab.engine.is_local:
            sights.append(Sight(same(url), "unknown", _ELSEWHERE.filled(where=lab.engine.where)))
            continue
        try:
            answer = requests.get(url, timeout=TIMEOUT_S)
            headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            page, trouble = headers + answer.text, f"status {answer.status_code}"
        except requests.RequestException as error:
            page, trouble = "", type(error).__name__
        sights.append(_page(lab, same(url), url, page, trouble, expected))
    return sights


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
