"""As much of a shell as the documentation uses, in this process: torch is imported once and not for each command."""

import os
import re
import shlex
import shutil
from pathlib import Path

import typer
from typer.testing import CliRunner

from jetassay.cli import app
from jetassay.places import project_root


def parse(words: list[str]) -> None:
    """As the real command line does, without carrying it out; a command's name alone stands for the command.

    Raises what the parser raises for a command, an option or a value that does not exist.
    """
    group = typer.main.get_command(app)
    above = typer.Context(group, info_name="jetassay")
    name, command, rest = group.resolve_command(above, list(words))
    if rest:
        command.make_context(name, list(rest), parent=above)


def run(command: str, monkeypatch) -> None:
    """Carry a command out in the working directory; it must succeed."""
    words, into = _redirected([os.path.expandvars(word) for word in shlex.split(command)])
    program, arguments = Path(words[0]).name, words[1:]
    if program == "jetassay":
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, f"{command}\nexit code {done.exit_code}\n{done.output}"
        if into:
            into.write_text(done.stdout)
    elif program == "export":
        for each in arguments:
            name, value = each.split("=", 1)
            monkeypatch.setenv(name, value)
            if name == "PYTHONPATH":
                monkeypatch.syspath_prepend(value)
    elif program == "mkdir":
        Path(arguments[-1]).mkdir(parents=True, exist_ok="-p" in arguments)
    elif program == "cp":
        shutil.copy(*arguments)
    elif program == "sed":
        _sed(*arguments)
    elif program == "make":
        require_target(arguments)
    else:
        raise AssertionError(f"{command}: the documentation's shell has no '{program}'")


def require_target(arguments: list[str]) -> None:
    """The target is in the Makefile, and so are the variables that are set."""
    text = (project_root() / "Makefile").read_text()
    targets = [each for each in arguments if "=" not in each]
    assert targets, f"make {' '.join(arguments)}: no target"
    for each in targets:
        assert re.search(rf"^{re.escape(each)}:", text, re.MULTILINE), f"make {each}: no such target"
    for each in arguments:
        if "=" in each:
            assert f"$({each.split('=')[0]})" in text, f"make {' '.join(arguments)}: no such variable"


def require_known(command: str) -> None:
    """A command that is not carried out at least exists, and its options do."""
    words, _ = _redirected(shlex.split(command))
    program = Path(words[0]).name
    if program == "jetassay":
        parse(words[1:])
    elif program == "make":
        require_target(words[1:])
    elif program == "python":
        script = words[2].replace(".", "/") + ".py" if words[1] == "-m" else words[1]
        assert (project_root() / script).exists(), f"{command}: there is no {script}"


def _redirected(words: list[str]) -> tuple[list[str], Path | None]:
    """The command's own words, and the file that `>` names."""
    return (words[:-2], Path(words[-1])) if ">" in words[-2:] else (words, None)


def _sed(option: str, expression: str, file: str) -> None:
    """`sed -i 's/old/new/' FILE`, which must change something."""
    assert option == "-i"
    _, old, new, flags = expression.split("/")
    assert not flags
    text = Path(file).read_text()
    assert old in text, f"{file}: there is no '{old}' to replace"
    Path(file).write_text(text.replace(old, new))
