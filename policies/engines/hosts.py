"""Where a server listens, or is reached."""

from ipaddress import ip_address


def on_this_machine(host: str) -> bool:
    """Tell whether a host is reached from this machine alone: ``localhost``, or a loopback address.

    Args:
        host: A name or an address; IPv6 without brackets. Of a name nothing is looked up.
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
