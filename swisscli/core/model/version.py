"""The version of the format of model directories."""

from typing import Any

from swisscli.core.errors import ModelError
from swisscli.core.model.schema import Object, Place, shown

FORMAT_VERSION = 1


def check_format_version(values: Any, place: Place) -> None:
    """Refuse a file of another format.

    Raises:
        ModelError: if it is no object, or its `format_version` is another.
    """
    version = Object()(values, place).get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ModelError(
            f"{place}: unknown format version {shown(version)},"
            f" this program reads {FORMAT_VERSION}",
            hint="name a directory that swiss train and swiss export wrote",
        )
