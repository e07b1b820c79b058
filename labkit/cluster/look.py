"""What `labkit check` sees: each page, on the lab's own network and through the host's ports, and who has the VIP."""

from dataclasses import dataclass
from typing import Literal

import requests

from labkit.cluster.lab import Lab
from labkit.render import heading

TIMEOUT_S = 5


@dataclass(frozen=True)
class Sight:
    """One look, judged. check: what was looked at; detail: what was seen, and what was expected if it differs."""

    check: str
    verdict: Literal["pass", "fail", "unknown"]
    detail: str


def look(lab: Lab) -> list[Sight]:
    """Gets index.html from both nodes' addresses and from the VIP, from the client and from this host."""
    owners = lab.owners()
    wanted = {f"page of {name}": (str(node.address), [name]) for name, node in lab.spec.nodes.items()}
    wanted["page of the VIP"] = (lab.vip, owners)
    fetched = lab.client.ask("/usr/lib/labkit/fetch", *(f"http://{address}/" for address, _ in wanted.values()))
    sights = [
        _page(
            lab, check, f"http://{address}/", answer["page"], answer["error"] or f"status {answer['status']}", expected
        )
        for (check, (address, expected)), answer in zip(wanted.items(), fetched, strict=True)
    ]
    return [*sights, _one_owner(lab, owners), *_through_ports(lab, owners)]


def _one_owner(lab: Lab, owners: list[str]) -> Sight:
    seen = f"{lab.vip} is answered for by {' and '.join(owners) or 'nobody'} (ARP, asked by the client)"
    return Sight("one owner of the VIP", "pass" if len(owners) == 1 else "fail", seen)


def _through_ports(lab: Lab, owners: list[str]) -> list[Sight]:
    """The same pages as a user's browser gets them."""
    first, second = lab.spec.nodes
    ports = lab.spec.ports
    wanted = {ports.first_http: [first], ports.second_http: [second], ports.vip_http: owners}
    published = lab.gateway.published()
    sights = []
    for inside, expected in wanted.items():
        url = f"http://127.0.0.1:{published.get(inside, inside)}/"
        if not lab.engine.is_local:
            sights.append(Sight(url, "unknown", f"the engine is at {lab.engine.where}, and its loopback is not ours"))
            continue
        try:
            answer = requests.get(url, timeout=TIMEOUT_S)
            page, trouble = answer.text, f"status {answer.status_code}"
        except requests.RequestException as error:
            page, trouble = "", type(error).__name__
        sights.append(_page(lab, url, url, page, trouble, expected))
    return sights


def _page(lab: Lab, check: str, url: str, page: str, trouble: str, expected: list[str]) -> Sight:
    """Whether a page is that of exactly the one node that is expected."""
    shown = [name for name in lab.nodes if heading(name) in page]
    seen = f"{url} shows {heading(shown[0])}" if shown else f"{url} shows no node's page ({trouble})"
    if len(expected) != 1:
        return Sight(check, "fail", f"{seen}, and {' and '.join(expected) or 'nobody'} should answer there")
    right = shown == expected
    return Sight(check, "pass" if right else "fail", seen if right else f"{seen}, expected {heading(expected[0])}")
