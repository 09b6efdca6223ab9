"""`saga shell-completion`: the shell completes commands and options of `saga` by the Tab key."""

import click
from click.shell_completion import get_completion_class

#: The shell sets it to ask for completions; click derives the name from the program's.
_VARIABLE = "_SAGA_COMPLETE"


@click.command("shell-completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def shell_completion(context: click.Context, shell: str) -> None:
    """Print a script with which SHELL completes commands and options by the Tab key.

    \b
    eval "$(saga shell-completion bash)"                                        in ~/.bashrc
    eval "$(saga shell-completion zsh)"                                         in ~/.zshrc
    saga shell-completion fish > ~/.config/fish/completions/saga.fish           once

    Test it: type `saga or` and press Tab.
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "saga", _VARIABLE).source())
