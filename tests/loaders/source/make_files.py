"""Makes the files that no office program makes on request: page labels, encryption, scans, tracked changes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from docx import Document
from docx.oxml import parse_xml
from fpdf import FPDF
from PIL import Image, ImageDraw
from pypdf import PdfReader, PdfWriter
from pypdf.constants import PageLabelStyle

FILES = Path(__file__).parent.parent / "files"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def labelled() -> None:
    writer = PdfWriter(clone_from=FILES / "pages.pdf")
    writer.set_page_label(0, 0, style=PageLabelStyle.LOWERCASE_ROMAN, start=12)
    writer.set_page_label(1, 2, style=PageLabelStyle.DECIMAL, start=1)
    writer.write(FILES / "labels.pdf")


def encrypted() -> None:
    writer = PdfWriter(clone_from=FILES / "columns.pdf")
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(FILES / "encrypted.pdf")


def scans() -> None:
    image = Image.new("1", (400, 300), 1)
    ImageDraw.Draw(image).text((20, 100), "These words are a picture.")
    kept = BytesIO()
    image.save(kept, "PNG")
    scan, mixed = FPDF(format="A5"), FPDF(format="A5")
    scan.add_page()
    scan.image(BytesIO(kept.getvalue()), w=80)
    scan.output(str(FILES / "scan.pdf"))
    for page in range(4):
        mixed.add_page()
        if page == 1:
            mixed.image(BytesIO(kept.getvalue()), w=80)
        elif page != 2:
            mixed.set_font("Helvetica")
            mixed.multi_cell(0, text=f"Page {page + 1} has words of its own about herring and tar.")
    mixed.output(str(FILES / "mixed.pdf"))


class _Numbered(FPDF):
    """Prints i and ii, then 1, 2, 3, at the foot of its pages, and names no labels."""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("Helvetica", size=8)
        number = self.page_no()
        self.cell(0, text=["i", "ii"][number - 1] if number < 3 else str(number - 2), align="C")


def numbered() -> None:
    book = _Numbered(format="A5")
    for words in ("Preface", "Thanks", "Herring", "Tar", "Rope"):
        book.add_page()
        book.set_font("Helvetica", size=11)
        book.multi_cell(0, text=f"{words}. This page is about {words.lower()} and nothing else, as its 7 readers know.")
    book.output(str(FILES / "numbered.pdf"))


def tracked() -> None:
    document = Document()
    document.add_heading("Minutes", 0)
    document.add_heading("Repairs", 1)
    paragraph = document.add_paragraph("The dam ")
    paragraph._p.append(parse_xml(f'<w:del {W} w:id="1" w:author="a"><w:r><w:delText>never </w:delText></w:r></w:del>'))
    paragraph._p.append(parse_xml(f'<w:ins {W} w:id="2" w:author="a"><w:r><w:t>always </w:t></w:r></w:ins>'))
    paragraph.add_run("held.")
    document.element.body.insert(
        -1,
        parse_xml(
            f"<w:sdt {W}><w:sdtContent><w:p><w:r><w:t>A form field says: nine metres.</w:t></w:r></w:p>"
            "</w:sdtContent></w:sdt>"
        ),
    )
    document.add_heading("Money", 1)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Stone", "90 euros"
    document.save(str(FILES / "tracked.docx"))


if __name__ == "__main__":
    labelled()
    encrypted()
    scans()
    numbered()
    tracked()
    print(*(f"{path.name}: {len(PdfReader(path).pages)} pages" for path in FILES.glob("pages.pdf")))
