// Run by Gradio inside a function with `element` and `trigger`; all files of this folder are one script.
// Text from the server reaches the page through textContent only.
'use strict';
window.ragChat?.abort(); // the header can be rendered again: the listeners of the first time go
const life = window.ragChat = new AbortController();
const texts = JSON.parse(element.querySelector('#bar').dataset.texts);
const find = (selector, from = document) => from.querySelector(selector);
const findAll = (selector, from = document) => [...from.querySelectorAll(selector)];
const phone = matchMedia('(max-width: 860px)');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
const on = (target, name, act, options = {}) => target.addEventListener(name, act, {...options, signal: life.signal});
const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
const button = (className, text, act) => {
  const made = make('button', className, text);
  made.type = 'button';
  made.addEventListener('click', act);
  return made;
};
const memory = { // a browser that forbids storage still gets a chat
  read(key, store = localStorage) { try { return store.getItem('rag-chat.' + key); } catch { return null; } },
  write(key, value, store = localStorage) {
    try { value === null ? store.removeItem('rag-chat.' + key) : store.setItem('rag-chat.' + key, value); return true; }
    catch { return false; }
  },
};

let toastTimer = 0;
function showToast(content, seconds = 3) {
  const toast = find('#toast');
  toast.replaceChildren(content);
  if (!toast.matches(':popover-open')) toast.showPopover();
  clearTimeout(toastTimer);
  if (seconds) toastTimer = setTimeout(hideToast, seconds * 1000);
}
function hideToast() { const toast = find('#toast'); if (toast?.matches(':popover-open')) toast.hidePopover(); }
const say = (text) => showToast(make('p', '', text));
const announce = (text) => { // emptied between, so that the same words are read again
  find('#live').textContent = '';
  setTimeout(() => { find('#live').textContent = text; }, 100);
};
const toBox = () => find('#ask textarea')?.focus();

// Fixed boxes beside what they belong to, always inside the window.
function placeBeside(box, anchor, gap = 8) {
  const at = anchor.getBoundingClientRect(), size = box.getBoundingClientRect();
  const below = at.bottom + gap + size.height < innerHeight || at.top < size.height + gap;
  box.style.top = `${Math.max(8, below ? at.bottom + gap : at.top - gap - size.height)}px`;
  box.style.left = `${Math.min(Math.max(8, at.left - 12), Math.max(8, innerWidth - size.width - 8))}px`;
}

let menuOpener = null;
function openMenu(opener, items) { // items: {label, chosen, act}
  const menu = find('#choices');
  menuOpener = opener;
  menu.replaceChildren(...items.map(({label, chosen, act}) => {
    const item = button('', label, () => { menu.hidePopover(); opener.focus(); act(); });
    item.setAttribute('role', chosen === undefined ? 'menuitem' : 'menuitemradio');
    if (chosen !== undefined) item.setAttribute('aria-checked', String(chosen));
    return item;
  }));
  menu.showPopover();
  placeBeside(menu, opener, 4);
  (find('[aria-checked=true]', menu) || menu.firstElementChild).focus();
}
on(find('#choices', element), 'keydown', (event) => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key], items = [...event.currentTarget.children];
  if (event.key === 'Escape') { event.stopPropagation(); event.currentTarget.hidePopover(); menuOpener?.focus(); }
  if (!step) return;
  event.preventDefault();
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
});

// Gradio renders on its own time: call back with an element once it is there, and whenever what is in it changes.
function watchElement(selector, changed) {
  const wait = () => {
    const target = find(selector);
    if (!target) return life.signal.aborted || requestAnimationFrame(wait);
    const observer = new MutationObserver(() => changed(target));
    observer.observe(target, {childList: true, subtree: true, characterData: true});
    life.signal.addEventListener('abort', () => observer.disconnect());
  };
  wait();
}
const messageOf = (target) => target.closest('.answer');
const turnOf = (href) => Number(href.split('/')[1]);
