"""The choice of colour is the program's, whichever thread writes."""

import threading

import pytest

from swisscli import console
from swisscli.console import Color


def test_colour_holds_for_every_thread(capsys: pytest.CaptureFixture[str]) -> None:
    console.choose_color(Color.ALWAYS)
    try:
        thread = threading.Thread(target=console.warning, args=("slow",))
        thread.start()
        thread.join()
    finally:
        console.choose_color(Color.AUTO)
    assert capsys.readouterr().err == "\x1b[1;33mwarning:\x1b[0m slow\n"
