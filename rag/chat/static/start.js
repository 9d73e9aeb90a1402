// What a click or a key does, and the state of the page at its start.
const links = {
  cite: (link, rest) => openPlace(rest, link),
  read: (link, rest) => { replaceHash('#read/' + rest); openView('open_document', {ref: rest}, link); },
  documents: (link) => { opener = link; openLibrary(); },
  why: (link) => openView('open_why', {turn: turnOf(link.hash)}, link),
  copy: (link, rest) => copyReference(rest),
  copyas: (link, rest) => chooseStyle(rest, link),
  copyanswer: (link) => copyAnswer(messageOf(link)),
  'vote-up': (link) => trigger('vote_answer', {turn: turnOf(link.hash), up: true, note: ''}),
  'vote-down': (link) => trigger('vote_answer', {turn: turnOf(link.hash), up: false, note: ''}),
  retry: () => { trigger('retry_answer'); keepFocus(); },
  edit: () => { trigger('edit_question'); toBox(); },
  ask: (link) => { trigger('ask_question', {question: link.textContent}); keepFocus(); },
};
// The link that was pressed goes and would take the focus along; on a phone the keyboard would hide the answer.
const keepFocus = () => phone.matches || toBox();
const buttons = {
  close: closePanel,
  step: (from) => openPlace(from.dataset.ref, from, panelRefs),
  library: (from) => { opener = from; openLibrary(); },
  export: exportMenu,
  new: () => newChat(),
  menu: () => showConversations(),
  dark: () => setDark(!document.body.classList.contains('dark'), true),
  'ask-all': () => { showChosen([]); trigger('choose_documents', {documents: []}); },
};
on(document, 'click', (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest?.('a[href^="#"]'), pressed = event.target.closest?.('[data-do]');
  const [name, ...rest] = link ? link.getAttribute('href').slice(1).split('/') : [];
  if (link && Object.hasOwn(links, name) && link.closest('#chat, #panel, #scope')) {
    event.preventDefault();
    event.stopPropagation();
    links[name](link, rest.join('/'));
  } else if (pressed && Object.hasOwn(buttons, pressed.dataset.do)) buttons[pressed.dataset.do](pressed);
}, {capture: true});
on(document, 'change', (event) => {
  if (!event.target.matches?.('#panel [data-document]')) return;
  const boxes = findAll('#panel [data-document]'), chosen = boxes.filter((box) => box.checked);
  if (!chosen.length) event.target.checked = true; // asking no document at all makes no sense
  trigger('choose_documents', {documents: (chosen.length ? chosen : [event.target]).map((box) => box.dataset.document)});
});
on(document, 'keydown', (event) => {
  if (event.key === ' ' && event.target.matches?.('a[role=button]')) { event.preventDefault(); event.target.click(); }
  if (event.key !== 'Escape' || find('dialog[open]')) return;
  if (find('#preview:popover-open')) hidePreview();
  else if (find('#toast:popover-open')) hideToast();
  else if (document.body.classList.contains('panel-open')) closePanel();
});

function setDark(dark, remember) {
  document.body.classList.toggle('dark', dark);
  find('[data-do=dark]').setAttribute('aria-pressed', String(dark));
  if (remember) memory.write('theme', dark ? 'dark' : 'light');
}
const theme = memory.read('theme');
setDark(theme ? theme === 'dark' : document.body.classList.contains('dark'), false);

// A new question comes to the top of the chat, so that its answer is read from its beginning. It can only get there once
// there is enough below it, so it is brought along until the answer is complete.
let questions = 0, rising = false;
watchElement('#chat', (chat) => {
  const asked = findAll('.q', chat), scroller = find('.bubble-wrap', chat);
  scroller?.setAttribute('aria-live', 'off'); // read aloud at every step of an answer; #live says it once
  rising = asked.length > questions || (rising && asked.length === questions); // one that was stopped is gone
  if (rising && scroller) {
    const top = scroller.scrollTop + asked.at(-1).getBoundingClientRect().top - scroller.getBoundingClientRect().top - 24;
    scroller.scrollTo({top, behavior: calm.matches ? 'auto' : 'smooth'});
  }
  questions = asked.length;
  rising &&= findAll('.tools', chat).length < questions;
  if (shownRef) markOpen(shownRef);
});

function openHash() {
  const [name, ...rest] = location.hash.slice(1).split('/');
  if (name === 'cite') openPlace(rest.join('/'), null, [rest.join('/')]);
  else if (name === 'read') openView('open_document', {ref: rest.join('/')});
  else if (name === 'documents') openLibrary();
  else if (!phone.matches) openLibrary(true);
}
on(window, 'hashchange', openHash);
const kept = openId() && readAll().find((c) => c.id === openId());
if (kept) restore(kept);
setTimeout(openHash, 0);
