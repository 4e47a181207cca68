"""Signals stop a process, wherever they reach it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def ended(code: str) -> int:
    """Run a program that tells itself to stop, and return how it ended."""
    start = "import os, signal, sys\nfrom pipeline.runner.stopping import *\nlisten()\n"
    whole = start + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", whole], check=False, timeout=60).returncode


def test_both_signals_raise_what_says_which_came():
    for name in ("SIGTERM", "SIGUSR1"):
        code = f"""
            try:
                os.kill(os.getpid(), signal.{name})
            except Stopped as stop:
                sys.exit(STOPPED if str(stop) == {name!r} else 1)
        """
        assert ended(code) == 75


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_that_is_lost_in_a_deletion_is_raised_again(name: str):
    code = f"""
        import time
        class Deleted:
            def __del__(self):
                os.kill(os.getpid(), signal.{name})
                sum(range(1000))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        thing = Deleted()
        del thing  # what is raised there is dropped
        try:
            time.sleep(30)
        except (Stopped, KeyboardInterrupt) as stop:
            sys.exit(STOPPED)
    """
    assert ended(code) == 75


def test_further_signals_change_nothing():
    code = """
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Stopped:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR1)
            sys.exit(STOPPED)
    """
    assert ended(code) == 75
