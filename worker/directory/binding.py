"""How a connection to a directory server begins: TLS with the server's certificate checked, then who we are."""

import ssl
from typing import Any

import ldap

from tasks.doors.ldap import Settings
from worker.directory.failures import DirectoryFailed, translated
from worker.settings.files import UnfitFileError, read_secret


def bound(settings: Settings) -> Any:  # noqa: ANN401 - of a library without types
    """Return a connection to the server of *settings*, bound. Raises DirectoryFailed."""
    password = _password(settings)
    try:
        with translated():
            connection = ldap.initialize(settings.url)
            _set_options(connection, settings)
            if settings.starttls:
                connection.start_tls_s()
            connection.simple_bind_s(settings.bind_dn or "", password)
    except ldap.TIMEOUT:
        raise DirectoryFailed("ldap.TIMEOUT") from None
    return connection


def _set_options(connection: Any, settings: Settings) -> None:  # noqa: ANN401 - likewise
    connection.protocol_version = ldap.VERSION3
    connection.timeout = settings.server_timeout
    options = {
        ldap.OPT_REFERRALS: 0,
        ldap.OPT_NETWORK_TIMEOUT: settings.server_timeout,
        ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND,
        ldap.OPT_X_TLS_PROTOCOL_MIN: ldap.OPT_X_TLS_PROTOCOL_TLS1_2,
        ldap.OPT_X_TLS_CACERTFILE: settings.tls.ca_file or ssl.get_default_verify_paths().cafile,
        ldap.OPT_X_TLS_CERTFILE: settings.tls.certificate_file,
        ldap.OPT_X_TLS_KEYFILE: settings.tls.key_file,
    }
    for option, value in options.items():
        if value is not None:
            connection.set_option(option, value if isinstance(value, int | float) else str(value))
    connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # with what was set just now


def _password(settings: Settings) -> str:
    if settings.bind_password_file is None:
        return ""
    try:
        return read_secret(settings.bind_password_file)
    except UnfitFileError as fault:
        raise DirectoryFailed(f"bind_password_file: {settings.bind_password_file.name} {fault}") from None
