"""The guide's steps, S1 to S15, as data: what it types, what that does and why, and what differs in the lab.

What is typed in the lab depends on its addresses and its profile, and is in `shell`.
"""

from dataclasses import dataclass

from labkit.language import Text


@dataclass(frozen=True)
class Step:
    """One step of the guide. figures: numbers of its figures; typed: what it types or writes, as it stands there."""

    id: str
    figures: tuple[int, ...]
    title: Text
    typed: tuple[str, ...]
    does: Text
    why: Text
    differs: Text


STEPS: tuple[Step, ...] = (
    Step(
        "S1",
        (1, 2),
        Text("Two equal machines", "Dos máquinas iguales"),
        (),
        Text(
            "Two machines of the same size, with names of their own, on one network.",
            "Dos máquinas del mismo tamaño, cada una con su nombre, en una misma red.",
        ),
        Text(
            "Either one must be able to carry the service alone. Heartbeat knows a node by what `uname -n` says.",
            "Cada una debe poder llevar el servicio sola. Heartbeat reconoce un nodo por lo que dice `uname -n`.",
        ),
        Text(
            "Containers in place of virtual machines: the same CPUs and memory, on a network without any way out.",
            "Contenedores en lugar de máquinas virtuales: las mismas CPU y memoria, en una red sin salida.",
        ),
    ),
    Step(
        "S2",
        (3,),
        Text("Package lists and unzip", "Listas de paquetes y unzip"),
        ("apt-get update", "apt-get install unzip"),
        Text("Fetches the package lists and installs unzip.", "Descarga las listas de paquetes e instala unzip."),
        Text(
            "The samples of the next steps are compressed. It is gzip that unpacks them, though, not unzip.",
            "Los ejemplos de los pasos siguientes están comprimidos. Pero quien los descomprime es gzip, no unzip.",
        ),
        Text(
            "Both are in the image already: a node has no way out to a package archive.",
            "Ambos ya están en la imagen: un nodo no tiene salida hacia un archivo de paquetes.",
        ),
    ),
    Step(
        "S3",
        (4,),
        Text("Static addresses and SSH", "Direcciones fijas y SSH"),
        (),
        Text(
            "Each node has an address that never changes, and takes SSH.",
            "Cada nodo tiene una dirección que no cambia, y acepta SSH.",
        ),
        Text(
            "ha.cf names the peer by its address, so that has to stay.",
            "ha.cf nombra al otro nodo por su dirección, así que esta debe mantenerse.",
        ),
        Text(
            "The network card is called eth0; the guide's is ens18. SSH takes the lab's key, never a password.",
            "La tarjeta de red se llama eth0; la de la guía es ens18. SSH acepta la clave del laboratorio, nunca una"
            " contraseña.",
        ),
    ),
    Step(
        "S4",
        (5,),
        Text("Heartbeat installed", "Heartbeat instalado"),
        ("apt-get install heartbeat",),
        Text("Installs Heartbeat on both nodes.", "Instala Heartbeat en ambos nodos."),
        Text(
            "It is what tells each node whether the other one lives, and what starts and stops the service.",
            "Es quien le dice a cada nodo si el otro vive, y quien arranca y detiene el servicio.",
        ),
        Text(
            "It is in the image. The same upstream version 3.0.6, from the package of the lab's platform.",
            "Está en la imagen. La misma versión 3.0.6, del paquete de la plataforma del laboratorio.",
        ),
    ),
    Step(
        "S5",
        (),
        Text("The sample files, unpacked and copied", "Los archivos de ejemplo, descomprimidos y copiados"),
        (
            "cd /usr/share/doc/heartbeat",
            "gzip -d ha.cf.gz",
            "gzip -d haresources.gz",
            "cp ha.cf haresources authkeys /etc/ha.d",
        ),
        Text(
            "Puts the package's three samples where Heartbeat looks for its files.",
            "Pone los tres ejemplos del paquete donde Heartbeat busca sus archivos.",
        ),
        Text(
            "Heartbeat does not start without them, and the samples explain every line.",
            "Sin ellos Heartbeat no arranca, y los ejemplos explican cada línea.",
        ),
        Text("Nothing.", "Nada."),
    ),
    Step(
        "S6",
        (6,),
        Text("ha.cf: times, paths and nodes", "ha.cf: tiempos, caminos y nodos"),
        (
            "keepalive 2",
            "deadtime 5",
            "udpport 694",
            "bcast ens18",
            "mcast ens18 225.0.0.1 694 1 0",
            "ucast ens18 172.23.19.47",
            "udp ens18",
            "auto_failback on",
            "node master-cluster",
            "node slave-cluster",
        ),
        Text(
            "Says how often a node is heard, after what silence it is dead, by which paths they talk, and who they are."
            " The two files differ only in the peer's address.",
            "Dice cada cuánto se oye a un nodo, tras qué silencio está muerto, por qué caminos hablan y quiénes son."
            " Los dos archivos difieren solo en la dirección del otro nodo.",
        ),
        Text(
            "A peer that says nothing for deadtime is taken for dead. Several paths, so that losing one is no death.",
            "Un nodo que calla durante deadtime se da por muerto. Varios caminos, para que el fallo de uno no sea una"
            " muerte.",
        ),
        Text(
            "Edited with sed in place of an editor, with the lab's network card. Corrected: no line `udp`, which is an"
            " old name of bcast and sends each heartbeat twice; a short initdead; no realtime.",
            "Se edita con sed en lugar de un editor, con la tarjeta de red del laboratorio. Corregido: sin la línea"
            " `udp`, un nombre antiguo de bcast que envía cada latido dos veces; un initdead corto; sin tiempo real.",
        ),
    ),
    Step(
        "S7",
        (7,),
        Text("haresources: who serves", "haresources: quién sirve"),
        ("master-cluster 172.23.19.48 apache2", "slave-cluster 172.23.19.48 apache2"),
        Text(
            "Names what moves together, address and web server, and the node that it belongs to.",
            "Nombra lo que se mueve junto, dirección y servidor web, y el nodo al que pertenece.",
        ),
        Text(
            "From this line both nodes know who has to start the service, and what the survivor has to take.",
            "Por esta línea ambos nodos saben quién debe arrancar el servicio y qué debe tomar el superviviente.",
        ),
        Text(
            "As printed, each node names itself, which the sample itself forbids: both then own the address. Corrected:"
            " the same line on both, with prefix and network card.",
            "Tal como está impreso, cada nodo se nombra a sí mismo, cosa que el propio ejemplo prohíbe: los dos poseen"
            " entonces la dirección. Corregido: la misma línea en ambos, con prefijo y tarjeta de red.",
        ),
    ),
    Step(
        "S8",
        (8, 9),
        Text("authkeys: how heartbeats are signed", "authkeys: cómo se firman los latidos"),
        ("auth 1", "1 crc", "chmode 600 authkeys"),
        Text(
            "Chooses how each packet is signed, and makes the file readable by root alone.",
            "Elige cómo se firma cada paquete, y deja que solo root lea el archivo.",
        ),
        Text(
            "Heartbeat refuses to start if others can read the file, for it may hold a secret.",
            "Heartbeat no arranca si otros pueden leer el archivo, porque puede guardar un secreto.",
        ),
        Text(
            "The command is chmod; the guide misspells it. crc finds damage but keeps nobody out, so corrected has sha1"
            " with a random key.",
            "La orden es chmod; la guía la escribe mal. crc descubre daños pero no deja fuera a nadie, por eso el"
            " perfil corregido usa sha1 con una clave al azar.",
        ),
    ),
    Step(
        "S9",
        (10, 11),
        Text("Heartbeat restarted on both nodes", "Heartbeat reiniciado en ambos nodos"),
        ("/etc/init.d/heartbeat restart", "/etc/init.d/heartbeat status"),
        Text(
            "Starts Heartbeat with the new files, and looks whether it runs.",
            "Arranca Heartbeat con los archivos nuevos, y mira si funciona.",
        ),
        Text(
            "Files are read at the start only. A restart waits deadtime and 10 s more, for the peer to take over.",
            "Los archivos se leen solo al arrancar. Un reinicio espera deadtime y 10 s más, para que el otro nodo tome"
            " el relevo.",
        ),
        Text(
            "Both at once, as in two terminals. The init script answers itself, because no systemd runs in a node, so"
            " the processes are counted with pgrep.",
            "En ambos a la vez, como en dos terminales. Contesta el propio script de arranque, porque en un nodo no hay"
            " systemd, así que los procesos se cuentan con pgrep.",
        ),
    ),
    Step(
        "S10",
        (),
        Text("apache2 installed", "apache2 instalado"),
        ("apt-get install apache2",),
        Text("Installs the web server on both nodes.", "Instala el servidor web en ambos nodos."),
        Text("It is the service that shall stay up.", "Es el servicio que debe seguir disponible."),
        Text(
            "It is in the image, and runs since the node's start.", "Está en la imagen, y funciona desde el arranque."
        ),
    ),
    Step(
        "S11",
        (12,),
        Text("A page for each node", "Una página para cada nodo"),
        ("MASTER-CLUSTER ON", "SLAVE-CLUSTER ON"),
        Text(
            "Gives the default page of each node a heading with its name.",
            "Da a la página de cada nodo un título con su nombre.",
        ),
        Text(
            "Otherwise nobody could see which node answers on the shared address.",
            "De otro modo nadie vería qué nodo responde en la dirección compartida.",
        ),
        Text("Edited with sed in place of an editor.", "Se edita con sed en lugar de un editor."),
    ),
    Step(
        "S12",
        (13,),
        Text("apache2 restarted on both nodes", "apache2 reiniciado en ambos nodos"),
        ("/etc/init.d/apache2 restart",),
        Text("Restarts the web server on both nodes.", "Reinicia el servidor web en ambos nodos."),
        Text(
            "A page needs no restart to be served; after this step both servers surely run.",
            "Una página no necesita reinicio para servirse; tras este paso ambos servidores funcionan con seguridad.",
        ),
        Text(
            "Corrected: a monitor starts here, too, which hands over to the peer when apache2 does not serve.",
            "Corregido: aquí arranca también un monitor, que entrega el servicio al otro nodo cuando apache2 no sirve.",
        ),
    ),
    Step(
        "S13",
        (14, 15, 16),
        Text("The three addresses, looked at", "Las tres direcciones, a la vista"),
        ("http://172.23.19.46/", "http://172.23.19.47/", "http://172.23.19.48/"),
        Text(
            "Gets the page of each node from its own address, and that of the node in charge from the virtual one.",
            "Pide la página de cada nodo en su propia dirección, y la del nodo al mando en la virtual.",
        ),
        Text(
            "This is the service as its users see it, and the state to compare with.",
            "Este es el servicio como lo ven sus usuarios, y el estado con el que comparar.",
        ),
        Text(
            "Asked with curl from the lab's client; a browser reaches the same pages through ports of 127.0.0.1. The"
            " client also asks by ARP who has the virtual address, which the guide never looked at.",
            "Se pide con curl desde el cliente del laboratorio; un navegador llega a las mismas páginas por puertos de"
            " 127.0.0.1. El cliente pregunta además por ARP quién tiene la dirección virtual, cosa que la guía nunca"
            " miró.",
        ),
    ),
    Step(
        "S14",
        (17, 18, 19),
        Text("apache2 stopped on the master", "apache2 detenido en el maestro"),
        ("/etc/init.d/apache2 stop",),
        Text(
            "Stops the web server of the node in charge, and looks at its own address and at the virtual one.",
            "Detiene el servidor web del nodo al mando, y mira su propia dirección y la virtual.",
        ),
        Text("It stands for a fault of the service.", "Representa un fallo del servicio."),
        Text(
            "The client asks a hundred times a second meanwhile, so the time without service is measured.",
            "Mientras tanto el cliente pregunta cien veces por segundo, así que el tiempo sin servicio se mide.",
        ),
    ),
    Step(
        "S15",
        (),
        Text("Control returned to the master", "El control vuelve al maestro"),
        ("/etc/init.d/apache2 start", "/etc/init.d/heartbeat restart"),
        Text(
            "Starts the web server again and restarts Heartbeat on the node that had it stopped.",
            "Arranca de nuevo el servidor web y reinicia Heartbeat en el nodo que lo tenía detenido.",
        ),
        Text(
            "With auto_failback on, the node that haresources names takes the service back when it returns.",
            "Con auto_failback activado, el nodo que nombra haresources recupera el servicio cuando regresa.",
        ),
        Text("Nothing.", "Nada."),
    ),
)

BY_ID = {step.id: step for step in STEPS}
