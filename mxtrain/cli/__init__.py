"""The command line. Only click is imported before it is known which command runs."""

from __future__ import annotations

import click

from mxtrain.cli.group import LazyGroup

COMMANDS = {
    "fit": ("mxtrain.cli.fit", "Train the network of a config."),
    "predict": ("mxtrain.cli.predict", "Predict rows with a trained model."),
    "evaluate": ("mxtrain.cli.evaluate", "Measure a trained model on rows with labels."),
    "compare": ("mxtrain.cli.compare", "Train with several optimizers and rank them."),
    "validate": ("mxtrain.cli.validate", "Check a config without running it."),
    "summary": ("mxtrain.cli.summary", "Show layers, shapes, parameters and memory."),
    "lr": ("mxtrain.cli.lr", "Show the learning rate over the run."),
    "inspect": ("mxtrain.cli.inspect", "Look into weights, graphs and run folders."),
    "diff": ("mxtrain.cli.diff", "Show how two files or runs differ."),
    "convert": ("mxtrain.cli.convert", "Write a file of arrays in another format."),
    "export": ("mxtrain.cli.export", "Write a model as an ONNX file."),
    "init": ("mxtrain.cli.init", "Show or write the initial weights."),
    "new": ("mxtrain.cli.new", "Write a starter config with its data."),
    "show": ("mxtrain.cli.show", "Explain an optimizer, operator, metric, ..."),
    "list-optimizers": ("mxtrain.cli.list_optimizers", "List the optimizers."),
    "list-initializers": ("mxtrain.cli.list_initializers", "List the initializers."),
    "list-lr-schedulers": ("mxtrain.cli.list_lr_schedulers", "List the schedules."),
    "list-operators": ("mxtrain.cli.list_operators", "List the operators."),
    "list-metrics": ("mxtrain.cli.list_metrics", "List the metrics."),
    "schema": ("mxtrain.cli.schema", "Print the JSON schema of configs, for editors."),
}
"""The module of each command, in which it is called ``command``, and its line in the help."""


def _print_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from mxtrain.version import __version__

        click.echo(f"mxtrain {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def command_line() -> None:
    """Train networks from a YAML file.

    Begin with "mxtrain new demo", then "cd demo" and "mxtrain fit".
    """


def main() -> None:
    """Run the command line of this process: the entry point of ``mxtrain``."""
    command_line(prog_name="mxtrain")
