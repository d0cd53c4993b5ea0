"""Lists that are pasted or uploaded: as text of a bounded size, or the sentence that says what is wrong."""

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

LIST_LIMIT = 1024 * 1024
"""Bytes of a list that is pasted."""


def within_limit(text: str) -> str:
    """Return a pasted list if it is not too large."""
    if len(text.encode(errors="replace")) > LIST_LIMIT:
        raise _too_large(LIST_LIMIT)
    return text


def text_of(file: "UploadedFile[bytes]", limit: int = LIST_LIMIT) -> str:
    """Return what a file of at most ``limit`` bytes says."""
    if (file.size or 0) > limit:
        raise _too_large(limit)
    try:
        return str(file.read(), "utf-8-sig")
    except UnicodeDecodeError as error:
        raise forms.ValidationError(
            _("The file is not text in UTF-8. Save it as “CSV UTF-8” and try again.")
        ) from error


def _too_large(limit: int) -> forms.ValidationError:
    said = _("The list is larger than %(limit)d MiB. Add it in parts.")
    return forms.ValidationError(said % {"limit": limit // LIST_LIMIT})
