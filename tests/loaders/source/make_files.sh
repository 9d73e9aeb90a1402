#!/usr/bin/env bash
# Makes the files in ../files again, with real programs: pandoc, LibreOffice, Chromium and, for what those cannot make,
# pypdf, fpdf2 and python-docx; page.html, panel.vtt and the like are written by hand. The files are in the repository; this says where they come from.
set -euo pipefail
cd "$(dirname "$0")"
out=../files
print() { chromium --headless --no-sandbox --disable-gpu ${3:-} --print-to-pdf="$out/$2" "file://$PWD/$1"; }

pandoc report.md -s -o $out/report.docx
pandoc report.md -s --toc -o $out/report.epub
pandoc report.md -s --toc --number-sections -o $out/report.html
pandoc slides.md -o $out/slides.pptx

pandoc report.md -s -c print.css --self-contained -o print.html
print print.html chromium.pdf                          # Chromium's own header and footer on each page
rm print.html
print columns.html columns.pdf --no-pdf-header-footer  # two columns
print pages.html pages.pdf --no-pdf-header-footer      # words broken at line ends
soffice --headless --convert-to pdf --outdir $out $out/report.docx && mv $out/report.pdf $out/writer.pdf
soffice --headless --convert-to docx:"MS Word 2007 XML" --outdir $out $out/report.html && mv $out/report.docx $out/writer.docx
pandoc report.md -s -o $out/report.docx                # the line before wrote over it
soffice --headless --convert-to pptx --outdir /tmp $out/slides.pptx && mv /tmp/slides.pptx $out/impress.pptx
python make_files.py
