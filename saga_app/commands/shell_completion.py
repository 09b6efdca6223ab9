"""`saga shell-completion`: the words of `saga` in the shell, by the Tab key."""

import click
from click.shell_completion import get_completion_class

#: What the shell sets when it asks: click derives it from the program's name.
_VARIABLE = "_SAGA_COMPLETE"


@click.command("shell-completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def shell_completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and options by the Tab key.

    \b
    eval "$(saga shell-completion bash)"                                        in ~/.bashrc
    eval "$(saga shell-completion zsh)"                                         in ~/.zshrc
    saga shell-completion fish > ~/.config/fish/completions/saga.fish           once

    Test it: type `saga or` and press Tab.
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "saga", _VARIABLE).source())
