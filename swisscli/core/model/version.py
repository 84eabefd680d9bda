"""The version of the format of model directories."""

from typing import Any

from swisscli.core.errors import ModelError
from swisscli.core.model.schema import Object, Place, format_value

FORMAT_VERSION = 1


def check_format_version(values: Any, place: Place) -> None:
    """Check the format version of a file.

    Raises:
        ModelError: if the file is not an object or has another `format_version`.
    """
    version = Object()(values, place).get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ModelError(
            f"{place}: unknown format version {format_value(version)},"
            f" this program reads {FORMAT_VERSION}",
            hint="name a directory that swiss train and swiss export wrote",
        )
