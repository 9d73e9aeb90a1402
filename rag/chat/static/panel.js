// The source panel: opening, scrolling to the quote, its rail, and the preview of a citation.
let opener = null; // takes the focus back when the panel closes
let shownRef = null;

function openPlace(ref, from, refs) {
  hidePreview();
  if (from && !from.closest('#panel')) opener = from;
  const message = from && messageOf(from);
  refs = refs || (message ? [...new Set(findAll('a.cite, .card a.open', message).map((a) => a.hash.slice(6)))]
    : findAll('#panel .rail .mark').map((mark) => mark.dataset.ref));
  if (refs.includes(ref)) panelRefs = refs; else refs = panelRefs = [ref];
  markOpen(ref);
  replaceHash('#cite/' + ref);
  if (ref === shownRef && find('#panel mark.now')) return arrived();
  shownRef = ref;
  trigger('open_place', {ref, refs});
}
let panelRefs = [];
function openView(name, values, from) {
  if (from && !from.closest('#panel')) opener = from;
  shownRef = null;
  markOpen(null);
  trigger(name, values || {});
}
function markOpen(ref) {
  findAll('#chat .on-panel').forEach((a) => a.classList.remove('on-panel'));
  if (ref) findAll('#chat a').filter((a) => a.getAttribute('href') === '#cite/' + ref).forEach((a) => a.classList.add('on-panel'));
}
const replaceHash = (hash) => history.replaceState(null, '', location.pathname + location.search + hash);

let arriving = 0;
let shownView = null; // Gradio changes the panel's elements in place, so a key tells new content from old
let quietly = false; // content that comes by itself does not take the focus
function panelChanged() {
  cancelAnimationFrame(arriving);
  arriving = requestAnimationFrame(() => {
    const view = find('#panel .panel-head')?.dataset.view;
    if (view && view !== shownView) { shownView = view; arrived(quietly); quietly = false; }
  });
}
function arrived(quiet) {
  const quote = find('#panel mark.now'), body = find('#panel .panel-body') || find('#panel .panel-message');
  if (!quiet) document.body.classList.add('panel-open');
  if (quote) scrollTo(body, quote);
  moveThumb();
  const target = quote ? find('#panel mark.now[tabindex]') || quote : body;
  // a sheet that is still hidden cannot take the focus
  if (!quiet) setTimeout(() => target?.focus({preventScroll: true}), phone.matches ? 300 : 0);
}
function scrollTo(body, quote) { // scrollIntoView would move the page on phones as well
  const at = quote.getBoundingClientRect(), frame = body.getBoundingClientRect();
  const top = body.scrollTop + at.top - frame.top - frame.height / 3;
  const far = Math.abs(top - body.scrollTop) > 3 * frame.height;
  body.scrollTo({top, behavior: calm.matches || far ? 'auto' : 'smooth'});
  quote.classList.remove('flash');
  void quote.offsetWidth; // starts the animation again
  findAll('#panel mark.now').forEach((part) => part.classList.add('flash'));
}
function openLibrary(quiet) { quietly = quiet === true; openView('open_library'); }
function closePanel() {
  document.body.classList.remove('panel-open');
  replaceHash('');
  if (!phone.matches && !find('#panel .library')) openLibrary(true); // the panel's resting view
  markOpen(null);
  shownRef = null;
  const back = opener?.isConnected ? opener : find('#ask textarea');
  opener = null;
  back?.focus();
}
function moveThumb() { // which part of the document is on screen
  const body = find('#panel .panel-body'), thumb = find('#panel .rail .thumb');
  if (!body || !thumb) return;
  thumb.style.top = `${100 * body.scrollTop / body.scrollHeight}%`;
  thumb.style.height = `${Math.min(100, 100 * body.clientHeight / body.scrollHeight)}%`;
}
on(document, 'scroll', (event) => { if (event.target.classList?.contains('panel-body')) moveThumb(); }, {capture: true});
watchElement('#panel', panelChanged);

// Hover or focus on a number shows the quote with a line of context.
let previewTimer = 0;
function showPreview(chip) {
  const message = messageOf(chip), card = message && findAll('.card a.open', message).find((a) => a.hash === chip.hash);
  const preview = find('#preview');
  if (!card || phone.matches) return;
  const quote = make('p', 'preview-quote');
  for (const part of findAll('.words > span', card)) quote.append(make(part.className === 'exact' ? 'b' : 'span', '', part.textContent));
  preview.replaceChildren(quote, make('p', 'preview-from', find('.from', card).textContent));
  if (!preview.matches(':popover-open')) preview.showPopover();
  placeBeside(preview, chip);
}
function hidePreview() { clearTimeout(previewTimer); const box = find('#preview'); if (box?.matches(':popover-open')) box.hidePopover(); }
const chipOf = (event) => event.target.closest?.('#chat a.cite');
on(document, 'mouseover', (event) => {
  const chip = chipOf(event);
  clearTimeout(previewTimer);
  if (chip) previewTimer = setTimeout(() => showPreview(chip), 120);
  else if (!event.target.closest?.('#preview')) previewTimer = setTimeout(hidePreview, 150);
});
on(document, 'focusin', (event) => { const chip = chipOf(event); if (chip?.matches(':focus-visible')) showPreview(chip); else hidePreview(); });
on(document, 'scroll', hidePreview, {capture: true});
