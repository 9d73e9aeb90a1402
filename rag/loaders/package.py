"""The zip-and-XML packages that DOCX, PPTX and EPUB are, opened with limits on what they may unpack to."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import unquote

from lxml import etree

from rag.errors import LoadError

MAX_ENTRIES = 20_000
MAX_PART_BYTES = 64 * 2**20
"""Of one part that is read, unpacked. Pictures and sound are never read."""
MAX_READ_BYTES = 256 * 2**20
"""Of all parts that are read, unpacked."""
MAX_RATIO = 200
"""Of a part's unpacked to its packed size, for parts above a megabyte. Real text packs some 3 to 20 times."""
_RATIO_FROM = 2**20
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_BOMB = "unpacks to far more than a document holds (a zip bomb?)"


@dataclass(frozen=True, slots=True)
class Relation:
    """A link from one part of a package to another."""

    kind: str
    """The last piece of its type, such as "slide" or "styles"."""
    target: str
    """Name of the part."""


class Package:
    """The parts of a package by name. Raises LoadError for what is damaged, encrypted or unreasonably large."""

    def __init__(self, data: bytes, kind: str) -> None:
        """`kind` is what the file calls itself, for messages: "DOCX"."""
        if data.startswith(_OLE):
            raise LoadError(f"is encrypted with a password, or an older format under the name of {kind}; save it anew")
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, OverflowError) as error:
            raise LoadError(f"is no {kind} or is damaged ({error})") from error
        if len(entries) > MAX_ENTRIES:
            raise LoadError(f"holds {len(entries):,} parts; {MAX_ENTRIES:,} are read")
        self._kind = kind
        self._entries = {entry.filename: entry for entry in entries}
        self._left = MAX_READ_BYTES

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """The bytes of a part. Its declared size is not trusted: unpacking stops at the limit."""
        entry = self._entries.get(name)
        if entry is None:
            raise LoadError(f"is no {self._kind} or is damaged: it has no {name[:80]!r}")
        if entry.flag_bits & 1:
            raise LoadError("is encrypted with a password; save a copy without one")
        limit = min(MAX_PART_BYTES, self._left)
        if entry.file_size > max(_RATIO_FROM, MAX_RATIO * entry.compress_size) or entry.file_size > limit:
            raise LoadError(_BOMB)
        try:
            with self._zip.open(entry) as stream:
                data = stream.read(limit + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise LoadError(f"is damaged: {name[:80]!r} cannot be unpacked") from error
        if len(data) > limit:
            raise LoadError(_BOMB)
        self._left -= len(data)
        return data

    def xml(self, name: str) -> etree._Element:
        """A part as XML, without entities, document types or anything from outside the package."""
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(self.read(name), parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            raise LoadError(f"is damaged: {name[:80]!r} is no XML that is safe to read") from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise LoadError(f"declares a document type in {name[:80]!r}, which no {self._kind} does (an XML bomb?)")
        return root

    def relations(self, name: str) -> dict[str, Relation]:
        """Where a part of an Office package leads, by relation id; links out of the package are left out."""
        folder, base = posixpath.split(name)
        listing = f"{folder}/_rels/{base}.rels" if folder else f"_rels/{base}.rels"
        if listing not in self._entries:
            return {}
        found = {}
        for entry in self.xml(listing).iter(_RELATIONS):
            if entry.get("TargetMode") != "External":
                kind = entry.get("Type", "").rpartition("/")[2]
                found[entry.get("Id", "")] = Relation(kind, resolve(folder, entry.get("Target", "")))
        return found


def resolve(folder: str, target: str) -> str:
    """Name of the part that `target`, written in a part of `folder`, leads to. It never leaves the package."""
    path = unquote(target.partition("#")[0])
    joined = path if path.startswith("/") else posixpath.join("/", folder, path)
    return posixpath.normpath(joined).lstrip("/")


def core_properties(package: Package) -> tuple[str, tuple[str, ...], str]:
    """Title, authors and language that an Office package names; empty where it names none."""
    part = next((r.target for r in package.relations("").values() if r.kind == "core-properties"), "")
    if part not in package:
        return "", (), ""
    found = {"title": "", "creator": "", "language": ""}
    for element in package.xml(part).iter("{http://purl.org/dc/elements/1.1/}*"):
        key = etree.QName(element).localname
        if key in found:
            found[key] = " ".join((element.text or "").split())[:300]
    authors = tuple(name.strip() for name in found["creator"].split(";")[:20] if name.strip())
    return found["title"], authors, found["language"]
