"""Reads the fields of an upload's form, and turns their faults into a rejection."""

from collections.abc import Sequence

from k1_contracts.upload_form import FormError, UploadForm
from k1_ingest.errors import UploadRejectedError


def read_fields(fields: Sequence[tuple[str, str]]) -> UploadForm:
    """Return the form with these pairs of name and text.

    Raises:
        UploadRejectedError: `invalid_form`, naming every field at fault.
    """
    try:
        return UploadForm.parse(fields)
    except FormError as error:
        raise UploadRejectedError(
            "invalid_form", 422, f"The form has errors: {error}.", error.faults
        ) from error
