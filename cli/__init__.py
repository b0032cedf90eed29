"""The command line. Each command imports what it needs when it is called, so `--help` stays fast."""

from __future__ import annotations

import importlib
import sys

import click

from clipita import __version__
from clipita.cli.failure import run_guarded
from clipita.logs import LEVELS, LogFormat, configure_logs, configure_traces

# command -> (module, one line of help): `clipita --help` imports no command.
COMMANDS = {
    "init": ("init", "Write a commented clipita.toml to start from."),
    "catalogue": ("catalogue", "Check a catalogue file, or split it."),
    "train": ("train", "Train CLIP-ITA on a catalogue."),
    "export-onnx": ("export_onnx", "Export a trained model as an ONNX bundle."),
    "opensearch": ("opensearch", "Run a local OpenSearch node, without Docker."),
    "ingest": ("ingest", "Write products and their vectors into OpenSearch."),
    "index": ("index", "List, switch, measure, export and remove indices."),
    "search": ("search", "Search the index by category or free text."),
    "categories": ("categories", "Name categories in other words, and add new ones."),
    "classify": ("classify", "Suggest categories for products that have none."),
    "serve": ("serve", "Serve search and a storefront page over HTTP."),
    "evaluate": ("evaluate", "Measure retrieval quality, offline and live."),
    "tune": ("tune", "Tune the search weights on validation categories."),
    "sample": ("sample", "Draw a sample shop of any size."),
    "doctor": ("doctor", "Report what this machine and cluster can do."),
    "demo": ("demo", "Run every step on a drawn sample shop."),
}


class LazyGroup(click.Group):
    """A click group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command's module and return its `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"clipita.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the command list from COMMANDS."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--log-level", type=click.Choice(LEVELS), default="warning", envvar="CLIPITA_LOG_LEVEL", show_default=True,
    help="Least level to log to stderr; debug logs every request to the cluster. Environment: CLIPITA_LOG_LEVEL.",
)  # fmt: skip
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", envvar="CLIPITA_LOG_FORMAT", show_default=True,
    help="json: one object per line. Environment: CLIPITA_LOG_FORMAT.",
)  # fmt: skip
@click.version_option(__version__, "-V", "--version", prog_name="clipita")
def group(log_level: str, log_format: LogFormat) -> None:
    """Category search over product images, inside the OpenSearch you already have.

    \b
    Try it on a drawn sample shop:   clipita demo
    On your own catalogue:           clipita init
                                     clipita train
                                     clipita export-onnx
                                     clipita opensearch start       (or name your cluster: CLIPITA_OPENSEARCH_URL)
                                     clipita ingest --index products
                                     clipita search "running shoes"

    Settings come from flags, then the environment (CLIPITA_OPENSEARCH_URL …), then clipita.toml.
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some products were rejected, 130 interrupted.
    An error is one line; --debug anywhere (or CLIPITA_DEBUG=1) shows its traceback.
    """
    configure_logs(log_level, log_format)
    configure_traces()


def main() -> None:
    """Entry point of the `clipita` command."""
    sys.exit(run_guarded(group, sys.argv[1:]))
