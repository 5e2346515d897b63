"""anys3: portable object storage. "Write code once. Any bucket will do."."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anys3.server.embedding import Server

__version__ = "0.1.0"
__all__ = ["Server", "__version__"]


def __getattr__(name: str) -> object:
    """Load `Server` on first use, so that importing the package stays cheap."""
    if name == "Server":
        from anys3.server.embedding import Server

        return Server
    raise AttributeError(f"module 'anys3' has no attribute {name!r}")
