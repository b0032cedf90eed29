"""Authentication: user and password, TLS client certificate, or AWS Signature Version 4.

Secrets come from the environment, a file or the system's keyring, and are sent in the request's header only.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipita.config import OpenSearchConfig
from clipita.errors import AuthenticationError, ConfigError, MissingExtraError
from clipita.opensearch.cluster.address import LOOPBACK, Address

PASSWORD_HINT = "Set CLIPITA_OPENSEARCH_USERNAME, and CLIPITA_OPENSEARCH_PASSWORD, password_file or password_keyring."
Signer = Callable[..., dict[str, str]]


def authorization(config: OpenSearchConfig, address: Address) -> dict[str, str] | None:
    """The header of HTTP basic authentication, or None without a user.

    opensearch-py would encode user and password as Latin-1; OpenSearch reads UTF-8.

    Raises:
        ConfigError: only one of user and password, an unusable password file or keyring entry, or AWS as well.
    """
    username = config.username or address.username
    password = config.password or _from_file(config.password_file) or _from_keyring(config, username)
    password = password or address.password
    if username is None and password is None:
        return None
    if config.aws_region is not None:
        raise ConfigError(
            f"Both a user and an AWS region are given for {address}.",
            hint="Leave out username and password, or aws_region: a request is signed in one way only.",
        )
    if username is None or password is None:
        lacking, given = ("password", "user") if password is None else ("user", "password")
        raise ConfigError(f"A {given} is given for {address}, but no {lacking}.", hint=PASSWORD_HINT)
    if config.require_tls and address.scheme != "https" and address.host not in LOOPBACK:
        raise ConfigError(
            f"A password for {address} would travel unencrypted; nothing was sent.",
            hint="Write https://, or set require_tls = false in [opensearch] where the network itself is trusted.",
        )
    return {"authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def aws_signer(config: OpenSearchConfig) -> Signer | None:
    """The signer of requests to Amazon OpenSearch Service (Signature Version 4), or None without `aws_region`.

    The credentials are those that AWS tools use: environment, shared files, the role of the container or machine.
    https://docs.opensearch.org/latest/clients/python-low-level/#connecting-to-amazon-opensearch-service

    Raises:
        MissingExtraError: boto3 is not installed.
        AuthenticationError: no AWS credentials are found.
    """
    if config.aws_region is None:
        return None
    try:
        import boto3
    except ImportError:
        raise MissingExtraError("boto3", "aws") from None
    from opensearchpy import Urllib3AWSV4SignerAuth

    credentials = boto3.Session().get_credentials()
    if credentials is None:
        raise AuthenticationError(
            "aws_region is set, but no AWS credentials are found.",
            hint="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.",
        )
    signer: Signer = Urllib3AWSV4SignerAuth(credentials, config.aws_region, "es")
    return signer


def tls_context(config: OpenSearchConfig) -> ssl.SSLContext:
    """TLS 1.2 or newer, with the configured authority and client certificate.

    The synchronous and the asynchronous client share it, as opensearch-py drops the synchronous client's certificate
    where the server's is not verified.

    Raises:
        ConfigError: a certificate or key is missing, unreadable, or does not match the other.
    """
    try:
        if config.ca_certs is None:
            context = ssl.create_default_context()
            import certifi

            # A minimal container has no certificate authorities.
            context.load_verify_locations(certifi.where())
        elif config.ca_certs.is_dir():
            context = ssl.create_default_context(capath=str(config.ca_certs))
        else:
            context = ssl.create_default_context(cafile=str(config.ca_certs))
    except FileNotFoundError:
        raise ConfigError(f"There is no CA certificate {config.ca_certs} (ca_certs).") from None
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"The CA certificate {config.ca_certs} cannot be used: {_reason(error)}.") from error
    if not config.verify_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_client_certificate(context, config)
    return context


def _load_client_certificate(context: ssl.SSLContext, config: OpenSearchConfig) -> None:
    if config.client_cert is None:
        if config.client_key is not None:
            raise ConfigError("client_key is given without client_cert.", hint="Name the certificate too.")
        return
    for file in (config.client_cert, config.client_key):
        if file is not None and not file.is_file():
            raise ConfigError(f"There is no client certificate or key {file}.", hint="Check client_cert, client_key.")

    def passphrase() -> str:
        # Without a callback OpenSSL would ask on the terminal, which stops a service.
        if config.client_key_password is None:
            raise ConfigError(
                f"The key {config.client_key or config.client_cert} is encrypted, and no passphrase is given.",
                hint="Set CLIPITA_OPENSEARCH_CLIENT_KEY_PASSWORD.",
            )
        return config.client_key_password

    try:
        context.load_cert_chain(config.client_cert, config.client_key, passphrase)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"The client certificate {config.client_cert} cannot be used: {_reason(error)}.",
            hint="It must be PEM, and client_key the private key of its first certificate.",
        ) from error


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__


def _from_file(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        # The cause would contain the bytes that could not be decoded.
        raise ConfigError(f"The password file {file} cannot be read: {reason}.") from None
    if not password:
        raise ConfigError(f"The password file {file} is empty.")
    return password


def _from_keyring(config: OpenSearchConfig, username: str | None) -> str | None:
    if config.password_keyring is None:
        return None
    if username is None:
        raise ConfigError("password_keyring is given without a user.", hint="Set CLIPITA_OPENSEARCH_USERNAME.")
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise MissingExtraError("keyring", "keyring") from None
    try:
        password: Any = keyring.get_password(config.password_keyring, username)
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"The keyring cannot be read: {type(error).__name__}.", hint="Unlock it.") from error
    if not password:
        raise ConfigError(
            f"The keyring has no password of {username} for {config.password_keyring}.",
            hint=f"Store it with: keyring set {config.password_keyring} {username}",
        )
    return str(password)
