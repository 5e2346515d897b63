"""The first screen: where the server is, the key to it, and lines to paste into one's clients."""

from __future__ import annotations

from dataclasses import dataclass

from anys3.server import audit
from anys3.server.config import Settings
from anys3.server.credentials import FILE_NAME, RootKey, weakness_of
from anys3.server.options import Listen

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 (compared, not bound)


@dataclass(frozen=True, slots=True)
class Started:
    """What is known once the server listens."""

    settings: Settings
    host: str
    port: int
    root: RootKey
    metrics_port: int = 0
    """The port of `settings.metrics`, if there is one."""
    certificate: str = ""
    """The file of a self-signed certificate that clients must be told to trust; "" if there is none."""

    @property
    def endpoint_url(self) -> str:
        """Where clients reach the server."""
        scheme = "https" if self.settings.is_tls else "http"
        return f"{scheme}://{_reachable(self.host)}:{self.port}"


def _reachable(host: str) -> str:
    """Return a host name that a client on this machine can use for a listening address."""
    # A certificate names localhost or the machine; every-address listeners answer on loopback too.
    return _EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)


def render(started: Started, *, is_terminal: bool, version: str) -> str:
    """Return the first screen. `is_terminal`: a person reads it, and no log, so that a secret may be shown."""
    return "\n".join(
        [
            *_head(started, version),
            "",
            *_key(started, is_terminal),
            "",
            *_clients(started, is_terminal),
            *_warnings(started),
        ]
    )


def _head(started: Started, version: str) -> list[str]:
    settings = started.settings
    lines = [
        f"anys3 {version}: S3 on {started.endpoint_url}",
        "",
        f"  endpoint    {started.endpoint_url}",
        f"  region      {settings.region}",
    ]
    lines += [f"  {name:<11} {value}" for name, value in settings.location.describe()]
    if settings.index and settings.directory is not None:
        lines.append(f"  audit log   {(settings.directory / audit.FILE_NAME).resolve()}")
    lines.append(f"  workers     {settings.workers}")
    lines.append(f"  transport   {_transport(started)}")
    if settings.metrics is not None:
        lines.append(f"  metrics     {_metrics(settings.metrics, started.metrics_port)}")
    if settings.domains:
        lines.append(
            "  addressing  path, and virtual host: " + ", ".join(f"BUCKET.{d}" for d in settings.domains)
        )
    if settings.profiles is not None:
        lines.append(
            f"  strict      only {', '.join(sorted(settings.profiles))}; the rest is refused with 501"
        )
    return lines


def _transport(started: Started) -> str:
    if not started.settings.is_tls:
        return "plain HTTP" + (", this machine only" if started.settings.listen.is_loopback else "")
    name = started.certificate or str(started.settings.tls_cert)
    return f"TLS 1.2 and 1.3, {'self-signed ' if started.certificate else ''}certificate {name}"


def _metrics(listen: Listen, port: int) -> str:
    place = f"{_reachable(listen.host)}:{port}"
    where = "this machine" if listen.host in _EVERYWHERE else listen.host
    seen_by = "" if listen.is_loopback else f"; whoever reaches {where} can read them"
    return f"http://{place}/metrics and /health{seen_by}"


def _is_shown(started: Started, is_terminal: bool) -> bool:
    """Say whether the secret is. What is no terminal may be a log: it stands there only if it is kept nowhere."""
    return (is_terminal or started.settings.location.is_in_memory) and not started.root.is_configured


def _key(started: Started, is_terminal: bool) -> list[str]:
    """Return the key pair, and where its secret is kept."""
    root, settings = started.root, started.settings
    lines = [f"AWS_ACCESS_KEY_ID={root.pair.access_key_id}"]
    is_shown = _is_shown(started, is_terminal)
    if root.is_configured:
        lines.append(f"(the secret is the one in {settings.root_key_source})")
    elif is_shown:
        lines.append(f"AWS_SECRET_ACCESS_KEY={root.pair.secret_access_key}")
    if settings.directory is not None:
        what = "kept" if is_shown or root.is_configured else "the secret is kept"
        lines.append(f"({what} in {settings.directory / FILE_NAME}, which only you can read)")
    elif settings.index and not root.is_configured:
        what = (
            "" if is_shown else "the secret is kept in the index; `anys3 key rotate root` shows a new one: "
        )
        lines.append(
            f"({what}better choose it yourself, by ANYS3_ACCESS_KEY_ID and ANYS3_SECRET_ACCESS_KEY on all servers)"
        )
    return lines


def _clients(started: Started, is_terminal: bool) -> list[str]:
    url, region = started.endpoint_url, started.settings.region
    exports = f"export AWS_ENDPOINT_URL={url} AWS_REGION={region}"
    if started.settings.directory is not None:
        exports += f" AWS_SHARED_CREDENTIALS_FILE={(started.settings.directory / FILE_NAME).resolve()}"
        keys = ""
    else:
        pair = started.root.pair
        secret = pair.secret_access_key if _is_shown(started, is_terminal) else "..."
        keys = f" AWS_ACCESS_KEY_ID={pair.access_key_id} AWS_SECRET_ACCESS_KEY={secret}"
    if started.certificate:
        exports += f" AWS_CA_BUNDLE={started.certificate}"
    rclone = f":s3,provider=Other,env_auth,endpoint='{url}':"
    trust = f" --ca-cert {started.certificate}" if started.certificate else ""
    return [
        "for every client, in the shell that you use it from:",
        f"  {exports}{keys}",
        "boto3:",
        f'  s3 = boto3.client("s3", endpoint_url="{url}", region_name="{region}")',
        "AWS CLI:",
        f"  aws --endpoint-url {url} s3 mb s3://photos",
        "rclone:",
        f'  rclone lsd "{rclone}"{trust}',
    ]


def _warnings(started: Started) -> list[str]:
    settings = started.settings
    warnings = list(settings.warnings)
    if not settings.is_tls and not settings.listen.is_loopback:
        warnings.append(
            "plain HTTP beyond this machine: data and signatures can be read on the way; use it only behind"
            " a proxy that speaks TLS"
        )
    if started.certificate:
        warnings.append("the certificate is self-signed: give it to your clients as a CA bundle")
    weakness = weakness_of(started.root.pair)
    if weakness:
        warnings.append(f"the root key's secret {weakness}: fit for this machine only")
    return ["", *(f"WARNING: {warning}" for warning in warnings)] if warnings else []
