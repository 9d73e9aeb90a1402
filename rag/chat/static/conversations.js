// Conversations live in this browser only: a list in localStorage, never sent but to open one of them.
const MOST = 50;
const readAll = () => { try { return JSON.parse(memory.read('conversations') || '[]').filter((c) => c && c.id); } catch { return []; } };
function writeAll(list) { // when the browser's room is used up, the oldest go
  list = list.slice(0, MOST);
  while (!memory.write('conversations', JSON.stringify(list)) && list.length) list.pop();
}
const openId = () => memory.read('open', sessionStorage);

function keep(ledger) {
  const written = find('.data', ledger)?.textContent;
  if (!written || written === keep.last) return;
  keep.last = written;
  const {news, ...record} = JSON.parse(written), opened = record.id !== openId();
  showChosen(record.documents);
  if (news?.notice) announce(news.notice);
  const list = readAll(), before = list.find((c) => c.id === record.id);
  memory.write('open', record.id || null, sessionStorage);
  if (!record.turns.length) return;
  const same = before && JSON.stringify(before.turns) === JSON.stringify(record.turns);
  record.name = before?.name || record.turns[0].question;
  record.when = same ? before.when : Date.now();
  writeAll(same ? list.map((c) => c.id === record.id ? record : c) : [record, ...list.filter((c) => c.id !== record.id)]);
  if (news ? !news.notice : opened) tell(record.turns.at(-1));
}
function showChosen(documents) { // not while a reader is checking them: what was chosen may not have reached the server yet
  if (document.activeElement?.matches('#panel [data-document]')) return;
  findAll('#panel [data-document]').forEach((box) => { box.checked = !documents.length || documents.includes(box.dataset.document); });
}
function tell(turn) {
  if (turn.abstained) return announce(texts.answer_none);
  const count = turn.citations.length, documents = new Set(turn.citations.map((ref) => ref.split('.')[0])).size;
  const sources = documents === 1 ? texts.documents_one : fill(texts.documents_many, {count: documents});
  announce(fill(texts.answer_ready, {summary: fill(count === 1 ? texts.quotes_one : texts.quotes_many, {count, documents: sources})}));
}
function restore(record) { trigger('restore_chat', {conversation: record}); }

function showConversations(deleted) { // `deleted` can be brought back as long as the list is open
  const dialog = find('#conversations'), list = readAll();
  const head = make('div', 'dialog-head');
  const close = button('icon close', '', () => dialog.close());
  close.setAttribute('aria-label', texts.close);
  head.append(make('h2', '', texts.menu), close);
  const rows = make('ul');
  rows.append(...list.map(row));
  dialog.replaceChildren(head, button('text-button wide', texts.new_chat, () => { dialog.close(); newChat(); }), ...undo(deleted),
    list.length ? rows : make('p', 'meta', texts.conversations_none), make('p', 'meta', texts.conversations_text));
  if (!dialog.open) dialog.showModal();
  find('.undo button', dialog)?.focus();
}
function undo(deleted) {
  if (!deleted) return [];
  const line = make('p', 'undo');
  line.setAttribute('role', 'status');
  line.append(make('span', '', fill(texts.deleted, {name: deleted.name})), button('text-button', texts.undo, () => {
    writeAll([...readAll(), deleted].sort((a, b) => b.when - a.when));
    showConversations();
    find('#conversations .conversation')?.focus();
  }));
  return [line];
}
function row(record) {
  const item = make('li'), dialog = find('#conversations');
  const open = button('conversation', '', () => { dialog.close(); restore(record); });
  open.append(make('span', 'title', record.name), make('span', 'meta', new Date(record.when).toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'})));
  if (record.id === openId()) open.setAttribute('aria-current', 'true');
  const rename = button('icon edit', '', () => renameRow(item, record));
  rename.setAttribute('aria-label', `${texts.rename}: ${record.name}`);
  const remove = button('icon delete', '', () => {
    writeAll(readAll().filter((c) => c.id !== record.id));
    if (record.id === openId()) newChat(false);
    showConversations(record);
  });
  remove.setAttribute('aria-label', `${texts.delete}: ${record.name}`);
  item.append(open, rename, remove);
  return item;
}
function renameRow(item, record) {
  const form = make('form', 'rename'), input = make('input');
  input.value = record.name;
  input.maxLength = 200;
  input.setAttribute('aria-label', texts.new_name);
  form.append(input, make('button', 'text-button', texts.save));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim() || record.name;
    writeAll(readAll().map((c) => c.id === record.id ? {...c, name} : c));
    showConversations();
    backTo(name);
  });
  form.addEventListener('keydown', (event) => { if (event.key === 'Escape') { event.preventDefault(); showConversations(); backTo(record.name); } });
  item.replaceChildren(form);
  input.select();
}
const backTo = (name) => findAll('#conversations .edit').find((edit) => edit.getAttribute('aria-label') === `${texts.rename}: ${name}`)?.focus();
function newChat(away = true) {
  memory.write('open', null, sessionStorage);
  trigger('new_chat');
  if (away) toBox();
}
watchElement('#ledger', keep);
