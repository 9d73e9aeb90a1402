// Study tools: copying with a reference, export, votes. The server answers in the tray with what is to be done.
const styleNow = () => memory.read('style') || texts.styles[0][0];

async function copyText(text, done) {
  try {
    if (navigator.clipboard && isSecureContext) await navigator.clipboard.writeText(text);
    else { // plain http on another host has no clipboard object
      const area = make('textarea', 'vh', text);
      area.value = text;
      document.body.append(area);
      area.select();
      const copied = document.execCommand('copy');
      area.remove();
      if (!copied) throw new Error('refused');
    }
    say(done);
  } catch { say(texts.copy_failed); }
}
function copyReference(ref) { trigger('copy_reference', {ref, style: styleNow()}); }
function chooseStyle(ref, from) {
  openMenu(from, texts.styles.map(([name, label]) => ({label, chosen: name === styleNow(),
    act: () => { memory.write('style', name); copyReference(ref); }})));
}
function copyAnswer(message) { // what the reader sees, with the list of sources
  const said = find('.said', message).cloneNode(true);
  findAll('.vh', said).forEach((hidden) => hidden.remove());
  findAll('a.cite', said).forEach((chip) => chip.replaceWith(`[${chip.textContent}]`));
  const lines = findAll('p', said).map((p) => p.textContent.trim()).filter(Boolean);
  const sources = findAll('.card a.open', message).map((card) => {
    const number = find('.n', card);
    return number ? `[${number.textContent}] ${find('.from', card).textContent}` : `“${find('.exact', card).textContent}” ${find('.from', card).textContent}`;
  });
  copyText([...lines, '', ...sources].join('\n').replaceAll('\u00a0', ' ').trim(), texts.copied);
}
function exportMenu(from) {
  openMenu(from, [['markdown', texts.export_markdown], ['html', texts.export_html]].map(([format, label]) => ({label,
    act: () => trigger('export_chat', {format, style: styleNow()})})));
}
function saveFile({text, name, type}) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  const link = make('a');
  Object.assign(link, {href: url, download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
function askWhy({turn, up, text}) { // the optional word after a thumb
  const form = make('form', 'vote-form'), label = make('label', '', texts.vote_word), input = make('input');
  input.maxLength = 500;
  label.append(input);
  const send = make('button', 'text-button', texts.send);
  const close = button('icon close', '', hideToast);
  close.setAttribute('aria-label', texts.close);
  form.append(make('p', '', text), close, label, send);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (input.value.trim()) trigger('vote_answer', {turn, up, note: input.value.trim()});
    hideToast();
  });
  showToast(form, 0);
}
function takeFromTray(tray) {
  const written = find('.data', tray)?.textContent;
  if (!written || written === takeFromTray.last) return;
  takeFromTray.last = written;
  const message = JSON.parse(written);
  if (message.kind === 'copy') copyText(message.text, message.say);
  else if (message.kind === 'save') saveFile(message);
  else if (message.kind === 'voted' && message.ask) askWhy(message);
  else say(message.text);
}
watchElement('#tray', takeFromTray);
