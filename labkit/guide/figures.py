"""The guide's figures, F1 to F19, as data: what each showed, in our own words, and what a lab has in its place.

Which step a figure belongs to stands in `steps`. How a counterpart is made is in `album`.
"""

from dataclasses import dataclass
from typing import Literal

from labkit.language import Text

Page = Literal["first", "second", "vip"]
STATUS = "labkit status"


@dataclass(frozen=True)
class Figure:
    """One figure. there: what the guide showed; here: what the lab shows.

    typed: a pattern of the commands, among those of its step, whose scene it is; STATUS for that command; empty for a
    web page. page: whose address the browser opens, of the first node, the second node or the VIP; empty for a scene.
    """

    number: int
    there: Text
    here: Text
    typed: str = ""
    page: Page | None = None

    @property
    def id(self) -> str:
        return f"F{self.number}"


_MACHINES = Text(
    "The two virtual machines in Proxmox VE: 2 CPUs and 2 GiB of memory each, on a bridged network card.",
    "Las dos máquinas virtuales en Proxmox VE: 2 CPU y 2 GiB de memoria cada una, con una tarjeta de red en puente.",
)

FIGURES: tuple[Figure, ...] = (
    Figure(
        1,
        _MACHINES,
        Text(
            "The pair as labkit status tells it: hosts, addresses, CPUs, memory, network.",
            "La pareja como la cuenta labkit status: equipos, direcciones, CPU, memoria, red.",
        ),
        typed=STATUS,
    ),
    Figure(
        2,
        _MACHINES,
        Text(
            "Each node's name and its network card: a macvlan in bridge mode, the counterpart of a bridged card.",
            "El nombre de cada nodo y su tarjeta de red: una macvlan en modo puente, la contraparte de una tarjeta en"
            " puente.",
        ),
        typed=".",
    ),
    Figure(
        3,
        Text("A terminal in which apt-get installs unzip.", "Una terminal en la que apt-get instala unzip."),
        Text(
            "The two programs are there already; gzip is the one that will be used.",
            "Los dos programas ya están; el que se usará es gzip.",
        ),
        typed=".",
    ),
    Figure(
        4,
        Text(
            "PuTTY with the address and the SSH port of a node.", "PuTTY con la dirección y el puerto SSH de un nodo."
        ),
        Text(
            "Each node's static address, and the SSH server that listens.",
            "La dirección fija de cada nodo, y el servidor SSH que escucha.",
        ),
        typed=".",
    ),
    Figure(
        5,
        Text("A terminal in which apt-get installs Heartbeat.", "Una terminal en la que apt-get instala Heartbeat."),
        Text("The packages that are installed, with versions.", "Los paquetes instalados, con sus versiones."),
        typed=".",
    ),
    Figure(
        6,
        Text("ha.cf in an editor, with the edits of S6.", "ha.cf en un editor, con los cambios de S6."),
        Text(
            "The lines of ha.cf that count, on both nodes. Only the ucast peer differs.",
            "Las líneas de ha.cf que cuentan, en ambos nodos. Solo difiere el destino de ucast.",
        ),
        typed="^grep",
    ),
    Figure(
        7,
        Text(
            "haresources in an editor: at its end a line with node, address and apache2.",
            "haresources en un editor: al final, una línea con nodo, dirección y apache2.",
        ),
        Text(
            "The line at the end, on both nodes: a different one on each as printed, the same one corrected.",
            "La línea al final, en ambos nodos: distinta en cada uno tal como está impreso, la misma corregido.",
        ),
        typed=".",
    ),
    Figure(
        8,
        Text("authkeys in an editor, with its two lines.", "authkeys en un editor, con sus dos líneas."),
        Text(
            "The two lines, and chmod as it is spelled. A key is blotted out.",
            "Las dos líneas, y chmod bien escrito. La clave está tapada.",
        ),
        typed="authkeys",
    ),
    Figure(
        9,
        Text(
            "A listing of /etc/ha.d: authkeys has 658 bytes, ha.cf 10525, haresources 5941 or 5940.",
            "Un listado de /etc/ha.d: authkeys tiene 658 bytes, ha.cf 10525, haresources 5941 o 5940.",
        ),
        Text(
            "The same listing. As printed, ha.cf is four bytes shorter here, because eth0 is a shorter name than ens18"
            " and stands in it four times; on a subnet with shorter addresses, haresources and ha.cf are too.",
            "El mismo listado. Tal como está impreso, ha.cf es aquí cuatro bytes más corto, porque eth0 es más corto"
            " que ens18 y aparece cuatro veces; en una subred de direcciones más cortas, haresources y ha.cf también"
            " lo son.",
        ),
        typed="^ls ",
    ),
    Figure(
        10,
        Text("Heartbeat restarted by its init script.", "Heartbeat reiniciado con su script de arranque."),
        Text("The same dialogue, on both nodes.", "El mismo diálogo, en ambos nodos."),
        typed="restart$",
    ),
    Figure(
        11,
        Text("Heartbeat's status: active, running, with 10 tasks.", "El estado de Heartbeat: activo, con 10 tareas."),
        Text(
            "The init script's own answer, and the processes counted: 10 as printed, 8 corrected.",
            "La respuesta del propio script de arranque, y los procesos contados: 10 tal como está impreso, 8"
            " corregido.",
        ),
        typed="status$|^pgrep",
    ),
    Figure(
        12,
        Text(
            "index.html in an editor, where the heading becomes the node's name.",
            "index.html en un editor, donde el título pasa a ser el nombre del nodo.",
        ),
        Text("The heading in each node's page.", "El título en la página de cada nodo."),
        typed="^grep",
    ),
    Figure(
        13,
        Text("apache2 restarted.", "apache2 reiniciado."),
        Text("The same, on both nodes.", "Lo mismo, en ambos nodos."),
        typed="apache2 restart",
    ),
    Figure(
        14,
        Text(
            "The master's address in a browser, with the master's page.",
            "La dirección del maestro en un navegador, con la página del maestro.",
        ),
        Text("The same address in Chromium.", "La misma dirección en Chromium."),
        page="first",
    ),
    Figure(
        15,
        Text(
            "The slave's address in a browser, with the slave's page.",
            "La dirección del esclavo en un navegador, con la página del esclavo.",
        ),
        Text("The same address in Chromium.", "La misma dirección en Chromium."),
        page="second",
    ),
    Figure(
        16,
        Text(
            "The virtual address in a browser, with the master's page.",
            "La dirección virtual en un navegador, con la página del maestro.",
        ),
        Text(
            "The same address in Chromium. As printed two nodes own it, and this is what a client sees that heard the"
            " master last.",
            "La misma dirección en Chromium. Tal como está impreso tiene dos dueños, y esto es lo que ve un cliente que"
            " oyó por último al maestro.",
        ),
        page="vip",
    ),
    Figure(
        17,
        Text("apache2 stopped on the master.", "apache2 detenido en el maestro."),
        Text("The same.", "Lo mismo."),
        typed="apache2 stop",
    ),
    Figure(
        18,
        Text(
            "The master's address in a browser, which is refused.",
            "La dirección del maestro en un navegador, que es rechazada.",
        ),
        Text(
            "The same in Chromium, while apache2 is stopped.", "Lo mismo en Chromium, mientras apache2 está detenido."
        ),
        page="first",
    ),
    Figure(
        19,
        Text(
            "The virtual address in a browser, refreshed: the slave's page.",
            "La dirección virtual en un navegador, recargada: la página del esclavo.",
        ),
        Text(
            "The same moment in Chromium. As printed the virtual address refuses as well, for nothing has moved;"
            " corrected, the slave's page is there.",
            "El mismo momento en Chromium. Tal como está impreso la dirección virtual también rechaza, porque nada se"
            " movió; corregido, allí está la página del esclavo.",
        ),
        page="vip",
    ),
)

BY_NUMBER = {figure.number: figure for figure in FIGURES}
