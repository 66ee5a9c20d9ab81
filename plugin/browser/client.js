/* What an open page does when the code, a template, a style sheet or an image has changed.
 *
 * It hears from the instance by Server-Sent Events, below the path that its element names. What it shows was written
 * by others, so all text goes in by textContent; and it works under a strict Content-Security-Policy: no <style>, no
 * style attribute, no eval. Its only global name is `fastreload`, {generation, state}, to look at.
 *
 * The same file is the script of a SharedWorker. A browser opens six connections to a server and no more, so its
 * pages share one; a page that may not have a worker listens by itself. And it is the livereload.js that LiveReload's
 * extensions and guides load from that port: then the page may be anybody's, and hears what that protocol can say.
 */
(() => {
  "use strict";
  const NAME = "fastreload";

  /* Keeps a stream open. open() asks once more for what a new listener is told first, and for what has happened since
   * that number (null: not known); the stream before it ends when the new one is there, so nothing is lost in between.
   * hear() gets a message and the number of the last news up to it. With several listeners some hear some of it twice. */
  const stream = (url, hear) => {
    let current, next, timer, last = null, pause = 250;
    const end = (source) => source && source.close();
    const close = () => {
      clearTimeout(timer);
      end(current);
      end(next);
      current = next = last = null;
    };
    const open = (since) => {
      clearTimeout(timer);
      end(next);
      const known = [since, last].filter((number) => number !== null);
      const from = known.length ? Math.min(...known) : null;
      const source = next = new EventSource(from === null ? url : `${url}?since=${from}`);
      source.onmessage = ({ data, lastEventId }) => hear([data, last = Number(lastEventId)]);
      source.onopen = () => {
        if (current !== source) end(current);
        [current, next, pause] = [source, null, 250];
      };
      /* EventSource comes back after a lost connection, but not after an answer such as a proxy's 502. */
      source.onerror = () => {
        if (source.readyState !== EventSource.CLOSED) return;
        clearTimeout(timer);
        timer = setTimeout(open, pause, from);
        pause = Math.min(2 * pause, 8000);
      };
    };
    return { open, close };
  };

  if (typeof document === "undefined") {
    const ports = new Set();
    const shared = stream("events", (message) => ports.forEach((port) => port.postMessage(message)));
    self.onconnect = ({ ports: [port] }) => {
      /* A page says what it has heard, and then that it goes. */
      port.onmessage = ({ data }) => {
        if (data === "going") {
          ports.delete(port);
          if (!ports.size) shared.close();
        } else {
          ports.add(port);
          shared.open(data);
        }
      };
    };
    return;
  }

  /* An element with this id would be found as a property too, but not as one of the window's own. */
  const runsIn = (frame) => Object.prototype.hasOwnProperty.call(frame, NAME);
  if (runsIn(window)) return;

  const script = document.currentScript;
  const source = new URL(script.src), isLiveReload = source.pathname === "/livereload.js";
  const path = script.dataset.path || (isLiveReload ? source : new URL(".", source)).pathname.replace(/\/$/, "");
  const numberIn = (text) => text ? Number(text) : null;
  let generation = numberIn(script.dataset.generation);
  /* The number of the last news that this page has heard, or that are older than itself. */
  let heardLast = numberIn(script.dataset.since);
  let state = "unknown";
  Object.defineProperty(window, NAME, {
    value: Object.freeze({
      get generation() { return generation; },
      get state() { return state; },
    }),
  });

  /* Tells whether a page around this one runs the same script: then that one reloads, and shows what is broken. */
  const isInner = () => {
    try {
      for (let frame = window; frame !== frame.parent;) {
        frame = frame.parent;
        if (runsIn(frame)) return true;
      }
    } catch (error) { /* A page of another origin. */ }
    return false;
  };

  /* ---- what the page has loaded ---- */

  const absolute = (text, base) => {
    try { return new URL(text, base || document.baseURI); } catch (error) { return new URL("about:blank"); }
  };
  const queryOf = (url) => url.search.replace(/[?&]fastreload=\d+$/, "");
  const keyOf = (url) => url.origin + url.pathname + queryOf(url);

  /* Returns the addresses of style sheets, images, scripts and fonts, without our numbers. What the page's scripts have
   * asked for is not among them: to ask that again might do something. */
  const loaded = () => {
    const entries = performance.getEntriesByType("resource");
    const files = entries.filter(({ initiatorType }) => /^(css|im(g|age)|input|link|script)$/.test(initiatorType));
    const keys = new Set(files.map(({ name }) => keyOf(absolute(name))));
    return [...keys].map((key) => absolute(key)).filter(({ pathname }) => !pathname.startsWith(path + "/"));
  };

  /* A browser may keep for days what it has fetched once (RFC 9111, 4.2.2), and would take the old again when the page
   * is loaded again, which waits for this. */
  const fetching = new Set();
  const fetchAgain = (url, cache) => {
    const fetched = fetch(url, { cache, mode: "no-cors", credentials: "include" })
      .then((response) => response.arrayBuffer())
      .catch(() => {})
      .then(() => fetching.delete(fetched));
    fetching.add(fetched);
  };

  /* ---- reload, and be where one was ---- */

  const pathTo = (element) => {
    const steps = [];
    for (let at = element; at.parentElement; at = at.parentElement) {
      if (at.id) return ["#" + CSS.escape(at.id), ...steps].join(">");
      steps.unshift(`:nth-child(${1 + [].indexOf.call(at.parentElement.children, at)})`);
    }
    return [":root", ...steps].join(">");
  };

  const remember = (tries) => {
    const at = document.activeElement;
    const focus = at && at !== document.body && pathTo(at);
    const kept = { url: location.href, until: Date.now() + 60000, tries, scrolled: [], focus };
    for (const box of document.querySelectorAll("*"))
      if (box.scrollTop || box.scrollLeft) kept.scrolled.push([pathTo(box), box.scrollLeft, box.scrollTop]);
    sessionStorage.setItem(NAME, JSON.stringify(kept));
  };

  const recall = () => {
    try {
      const kept = JSON.parse(sessionStorage.getItem(NAME));
      if (kept && kept.url === location.href) {
        sessionStorage.removeItem(NAME);
        if (Date.now() < kept.until) return kept;
      }
    } catch (error) { /* The page may not store anything. */ }
    return { tries: 0, scrolled: [] };
  };

  const recalled = recall();
  let hasMoved = false;
  /* The page is put where it was when it is there, and once more when images have made it as long as it was;
   * never against somebody who scrolls already. */
  const putBack = () => {
    if (hasMoved) return;
    for (const [where, left, top] of recalled.scrolled) {
      const box = document.querySelector(where);
      if (box) box.scrollTo({ left, top, behavior: "instant" });
    }
    const focused = recalled.focus && document.querySelector(recalled.focus);
    if (focused && document.activeElement === document.body) focused.focus({ preventScroll: true });
  };
  if (recalled.scrolled.length || recalled.focus) {
    for (const type of ["wheel", "touchmove", "keydown", "pointerdown"])
      addEventListener(type, () => { hasMoved = true; }, { once: true, passive: true });
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", putBack);
    else putBack();
    if (document.readyState !== "complete") addEventListener("load", putBack);
  }

  /* Whoever has just followed a link or sent a form shall get there: a reload would take that back. And a page that
   * nobody sees waits a little, for the same workers have to answer those that somebody looks at. */
  let leavingSince = -Infinity;
  addEventListener("beforeunload", () => { leavingSince = performance.now(); });
  const reload = (tries, hasWaited) => {
    if (isInner()) return;
    if (performance.now() - leavingSince < 5000 || (document.hidden && !hasWaited)) {
      setTimeout(reload, 1000, tries, true);
      document.addEventListener("visibilitychange", () => reload(tries), { once: true });
      return;
    }
    try {
      remember(tries);
    } catch (error) { /* The page may not store anything: it is put where the browser puts it. */
      if (tries) return;
    }
    const late = new Promise((resolve) => setTimeout(resolve, 2000));
    const go = () => location.reload();
    if (fetching.size) Promise.race([Promise.all(fetching), late]).then(go);
    else go();
  };

  /* A page that is older than the instance reloads, and so does one that has missed what it cannot be told any more. If
   * it still is, because something on the way keeps old pages, it is asked for again a few times, and then left alone. */
  const compare = (served, since, number) => {
    if (generation === null) generation = served;
    if (heardLast === null) heardLast = number;
    if (generation === served && heardLast >= since) return;
    if (recalled.tries < 3) {
      for (const url of loaded())
        if (url.origin === location.origin) fetchAgain(url, "no-cache");
      setTimeout(reload, 300 * recalled.tries, recalled.tries + 1);
    } else [generation, heardLast] = [served, number];
  };

  /* ---- style sheets and images, in place ---- */

  /* Where something newer than its own address says was last fetched from, by the address without our number. */
  const latest = new Map();
  let number = Date.now();

  /* site.3f2a1b9c.css is site.css to a storage that puts a hash of the contents into the name. */
  const withoutHash = (name) => name.replace(/[.-](?=[a-z]*\d)[0-9a-f]{6,40}(?=\.\w+$)/i, "");

  /* Returns how many names are the same at the end of a URL's path and of a file's: none where the last ones differ,
   * and half a one less where they differ by the hash. */
  const likeness = (url, file) => {
    let path;
    try { path = decodeURIComponent(url.pathname).split("/"); } catch (error) { return 0; }
    const names = file.split("/"), name = names.pop(), other = path.pop();
    if (!/^http/.test(url.protocol) || withoutHash(name) !== withoutHash(other)) return 0;
    let same = 0;
    while (same < names.length && names[names.length - 1 - same] === path[path.length - 1 - same]) same++;
    return same + (name === other ? 1 : 0.5);
  };

  /* Exchanges those of the spots {url, swap} that are most like the file; returns whether there was any. A file with
   * a hash in its name is fetched by that name. */
  const exchange = (spots, file) => {
    const name = file.replace(/.*\//, ""), hasHash = name !== withoutHash(name);
    const scores = spots.map((spot) => likeness(spot.url, file));
    const best = Math.max(0, ...scores);
    number++;
    spots.filter((spot, i) => best && scores[i] === best).forEach(({ url, swap }) => {
      const query = queryOf(url);
      const path = hasHash ? url.pathname.replace(/[^/]*$/, encodeURIComponent(name)) : url.pathname;
      const href = url.origin + path + query + (query ? "&" : "?") + NAME + "=" + number;
      latest.set(keyOf(url), href);
      swap(href).catch(() => {});
    });
    return best > 0;
  };

  /* Loads what an element names, and tells whether that is still the newest then. */
  const load = (element, url, href) => new Promise((resolve) => {
    element.addEventListener("load", () => resolve(latest.get(keyOf(url)) === href), { once: true });
    element.addEventListener("error", () => resolve(false), { once: true });
  });

  /* Adds a spot for each image that a text names: an attribute, or the value of a property of CSS. */
  const addImages = (spots, read, write, pattern, base) => {
    const urlIn = (part) => absolute(part.replace(/^url\(["']?|["']?\)$/g, "").replace(/\\(.)/g, "$1"), base);
    for (const part of read().match(pattern) || []) {
      const url = urlIn(part);
      const swap = async (href) => {
        const image = new Image();
        image.src = href;
        if (!await load(image, url, href)) return;
        write(read().replace(pattern, (one) => {
          if (keyOf(urlIn(one)) !== keyOf(url)) return one;
          return one.startsWith("url(") ? `url("${href}")` : href;
        }));
      };
      spots.push({ url, swap });
    }
  };
  const CSS_URL = /url\("(?:[^"\\]|\\.)*"\)|url\([^"')]*\)/g;

  const addStyle = (spots, style, base) => {
    if (!style || !style.cssText.includes("url(")) return;
    for (const name of style) {
      const write = (value) => style.setProperty(name, value, style.getPropertyPriority(name));
      addImages(spots, () => style.getPropertyValue(name), write, CSS_URL, base);
    }
  };

  const addAttributes = (spots) => {
    const all = (selector, attribute, pattern) => document.querySelectorAll(selector).forEach((element) => {
      const read = () => element.getAttribute(attribute) || "";
      addImages(spots, read, (value) => element.setAttribute(attribute, value), pattern);
    });
    all("img,input", "src", /^[^]+$/g);
    all("link[rel~=icon],image", "href", /^[^]+$/g);
    all("video", "poster", /^[^]+$/g);
    all("img,source", "srcset", /[^\s,]\S*[^\s,]/g);
    document.querySelectorAll("[style]").forEach(({ style }) => addStyle(spots, style));
  };

  const rulesOf = (sheet) => {
    try { return [...sheet.cssRules]; } catch (error) { return []; /* Another origin's, or not there yet. */ }
  };

  /* Adds the sheets that a sheet imports, and the images that it names. */
  const addSheet = (imports, images, sheet) => {
    const todo = [[sheet, sheet.href]];
    while (todo.length) {
      const [group, base] = todo.pop();
      for (const rule of rulesOf(group)) {
        if (rule.type === CSSRule.IMPORT_RULE) {
          const url = absolute(rule.href, base);
          imports.push({ url, swap: (href) => swapImport(rule, url, href) });
          if (rule.styleSheet) todo.push([rule.styleSheet, rule.styleSheet.href]);
        } else {
          addStyle(images, rule.style, base);
          if (rule.cssRules) todo.push([rule, base]);
        }
      }
    }
  };

  /* What a new sheet names by its first address may have been exchanged since. */
  const renew = (sheet) => {
    const spots = [];
    addSheet(spots, spots, sheet);
    return Promise.all(spots.map(({ url, swap }) => latest.has(keyOf(url)) && swap(latest.get(keyOf(url)))));
  };

  /* The new sheet is complete before the old one goes: nothing is seen without style. */
  const coming = new WeakSet();
  const swapLink = async (link, url, href) => {
    const copy = link.cloneNode();
    copy.removeAttribute("integrity");
    copy.href = href;
    coming.add(copy);
    link.after(copy);
    const isNewest = await load(copy, url, href);
    if (isNewest && copy.sheet) await renew(copy.sheet);
    (isNewest ? link : copy).remove();
    coming.delete(copy);
  };

  /* An import has no event that tells when it is there, so it is fetched first, by an element that has one. */
  const swapImport = async (rule, url, href) => {
    const early = document.createElement("link");
    Object.assign(early, { rel: "preload", as: "style", href });
    document.head.append(early);
    const isNewest = await load(early, url, href);
    const parent = rule.parentStyleSheet;
    const at = isNewest && parent ? rulesOf(parent).indexOf(rule) : -1;
    if (at >= 0) {
      parent.insertRule(rule.cssText.replace(CSS_URL, () => `url("${href}")`), at + 1);
      const added = parent.cssRules[at + 1];
      for (let i = 0; i < 200 && !rulesOf(added.styleSheet).length; i++)
        await new Promise((resolve) => setTimeout(resolve, 5));
      if (added.styleSheet) await renew(added.styleSheet);
      parent.deleteRule(rulesOf(parent).indexOf(rule));
    }
    early.remove();
  };

  const refresh = (file) => {
    const isLoaded = exchange(loaded().map((url) => ({ url, swap: async () => fetchAgain(url, "reload") })), file);
    const sheets = [], images = [];
    const links = [...document.querySelectorAll("link[rel~=stylesheet][href]")].filter((link) => !coming.has(link));
    for (const link of links) {
      const url = absolute(link.href);
      sheets.push({ url, swap: (href) => swapLink(link, url, href) });
    }
    for (const sheet of document.styleSheets)
      if (!coming.has(sheet.ownerNode)) addSheet(sheets, images, sheet);
    if (/\.css$/i.test(file)) {
      /* Where the server makes one sheet of several files, any of its sheets may hold this one. */
      if (!exchange(sheets, file))
        for (const spot of sheets)
          if (spot.url.origin === location.origin) exchange([spot], spot.url.pathname);
    } else if (/\.(apng|avif|bmp|gif|ico|jpe?g|png|svg|webp)$/i.test(file)) {
      addAttributes(images);
      exchange(images, file);
    } else if (isLoaded) {
      reload(0);
    }
  };

  /* ---- what is broken ---- */

  const CSS_TEXT = `
    :host { all: initial !important; }
    @media print { :host { display: none !important; } }
    dialog { box-sizing: border-box; width: min(960px, calc(100vw - 32px)); max-height: calc(100vh - 32px);
      margin: auto; padding: 20px 24px; overflow: auto;
      border: 1px solid #8c959f; border-top: 6px solid #b3261e; border-radius: 8px;
      background: #fff; color: #1f2328; font: 15px/1.5 system-ui, sans-serif; color-scheme: light; }
    dialog::backdrop { background: rgba(20, 24, 28, .6); }
    h1 { margin: 0; font-size: 20px; color: #a3201a; overflow-wrap: anywhere; white-space: pre-wrap; }
    p { margin: 8px 0; overflow-wrap: anywhere; }
    pre { margin: 12px 0; padding: 10px 12px; overflow: auto; max-height: 45vh; border-radius: 4px;
      background: #f3f4f6; font: 13px/1.55 ui-monospace, monospace; tab-size: 4; }
    pre > * { display: block; min-width: max-content; }
    mark { background: #ffdcd7; color: #5c0f0a; font-weight: bold; }
    button { padding: 6px 14px; border: 1px solid currentColor; border-radius: 6px; background: #fff; color: #1f2328;
      font: inherit; cursor: pointer; }
    :focus-visible { outline: 3px solid #0550ae; outline-offset: 2px; }
    dialog:focus { outline: none; }
    @media (prefers-color-scheme: dark) {
      dialog { border-color: #6e7681; border-top-color: #ff8a80; background: #1b1f24; color: #e6edf3;
        color-scheme: dark; }
      h1 { color: #ff9c93; }
      pre { background: #0d1117; }
      mark { background: #5c1a16; color: #ffe9e7; }
      button { background: #1b1f24; color: #e6edf3; }
      :focus-visible { outline-color: #79c0ff; }
    }
    @media (prefers-reduced-motion: no-preference) {
      dialog { animation: appear .12s ease-out; }
      @keyframes appear { from { transform: translateY(-12px); } }
    }`;
  let shown = null, host = null;

  const add = (parent, name, text, attributes) => {
    const element = document.createElement(name);
    if (text) element.textContent = text;
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    parent.append(element);
    return element;
  };

  /* Takes the overlay away; the focus goes back to where it was. */
  const hide = () => {
    if (!host) return;
    host.shadowRoot.querySelector("dialog").close();
    host.remove();
    host = null;
  };

  const keepInside = (event) => {
    event.stopPropagation();
    if (event.key !== "Tab") return;
    event.preventDefault();
    const stops = [...host.shadowRoot.querySelectorAll("button,[tabindex='0']")];
    const at = stops.indexOf(host.shadowRoot.activeElement);
    const next = event.shiftKey ? (at > 0 ? at : stops.length) - 1 : (at + 1) % stops.length;
    stops[next].focus();
  };

  /* Adds text that may scroll, and so can be reached with the keyboard. */
  const addText = (dialog, label, text) =>
    add(dialog, "pre", text, { tabindex: 0, role: "region", "aria-label": label });

  const addSource = (dialog, { source, line }) => {
    const lines = addText(dialog, "Source");
    const width = String(source[source.length - 1].line).length;
    for (const each of source) {
      const isIt = each.line === line;
      const number = String(each.line).padStart(width);
      add(lines, isIt ? "mark" : "span", `${isIt ? ">" : " "} ${number} | ${each.text || ""}\n`);
    }
  };

  /* Shows what did not load; once only, however often it is told. */
  const show = (told, data) => {
    if (isInner() || data === shown) return;
    hide();
    shown = data;
    host = document.createElement("fastreload-overlay");
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS_TEXT);
    root.adoptedStyleSheets = [sheet];
    const dialog = add(root, "dialog", "", {
      role: "alertdialog", "aria-modal": "true", "aria-labelledby": "what", "aria-describedby": "where serving",
      tabindex: -1,
    });
    const what = [told.kind, told.message].filter(Boolean).join(": ");
    add(dialog, "h1", what || "The new code does not load", { id: "what" });
    add(dialog, "p", told.file && told.file + (told.line ? ", line " + told.line : ""), { id: "where" });
    if (Array.isArray(told.source) && told.source.length) addSource(dialog, told);
    const serving = `Still served: ${told.serving || "the code from before"}.`;
    add(dialog, "p", serving + " This goes away with the next save that loads.", { id: "serving" });
    if (told.traceback) addText(dialog, "Traceback", told.traceback);
    add(dialog, "button", "Dismiss (Esc)", { type: "button" }).addEventListener("click", hide);
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); hide(); });
    dialog.addEventListener("keydown", keepInside);
    document.documentElement.append(host);
    dialog.showModal();
    dialog.focus();
  };

  const mend = () => {
    state = "serving";
    shown = null;
    hide();
  };

  /* ---- what is heard ---- */

  const heard = {
    hello: (told, data, number) => {
      if (told.state !== "broken") mend();
      compare(told.generation, told.since, number);
    },
    reload: () => {
      mend();
      reload(0);
    },
    assets: ({ files }) => {
      const refreshAll = () => files.forEach(refresh);
      refreshAll();
      /* What is still to come of this page may be in the browser's cache. */
      if (document.readyState === "loading") addEventListener("DOMContentLoaded", refreshAll);
    },
    broken: (told, data) => {
      state = "broken";
      show(told, data);
    },
    restored: mend,
  };
  const hear = ([data, number]) => {
    const told = JSON.parse(data);
    if (told.type === "reload" || told.type === "assets") {
      if (heardLast !== null && number <= heardLast) return;
      heardLast = number;
    }
    if (Object.prototype.hasOwnProperty.call(heard, told.type)) heard[told.type](told, data, number);
  };

  let hangUp;

  /* Here no number tells what was missed while there was no connection, so the page is loaded again when there is one.
   * The events are those with which LiveReload's own script and its extensions speak to each other. */
  const listenToLiveReload = () => {
    const fire = (name) => document.dispatchEvent(new CustomEvent(name));
    let socket, timer, pause = 250, wasLost = false;
    const open = () => {
      socket = new WebSocket(source.origin.replace(/^http/, "ws") + "/livereload");
      socket.onopen = () => {
        const protocols = ["http://livereload.com/protocols/official-7"];
        socket.send(JSON.stringify({ command: "hello", protocols }));
      };
      socket.onmessage = ({ data }) => {
        const { command, path: file } = JSON.parse(data);
        if (command === "hello") {
          [state, pause] = ["serving", 250];
          fire("LiveReloadConnect");
          if (wasLost) reload(0);
        } else if (command === "reload") {
          if (file === "/") reload(0);
          else refresh(file);
        }
      };
      socket.onclose = () => {
        if (state !== "unknown") fire("LiveReloadDisconnect");
        [state, wasLost] = ["unknown", wasLost || state !== "unknown"];
        timer = setTimeout(open, pause);
        pause = Math.min(2 * pause, 8000);
      };
    };
    hangUp = () => {
      clearTimeout(timer);
      socket.onclose = null;
      socket.close();
      state = "unknown";
    };
    open();
  };

  const listenAlone = () => {
    const own = stream(path + "/events", hear);
    own.open(heardLast);
    hangUp = own.close;
  };
  const listen = () => {
    if (isLiveReload) {
      listenToLiveReload();
      return;
    }
    try {
      const worker = new SharedWorker(path + "/client.js", NAME);
      worker.port.onmessage = (event) => hear(event.data);
      worker.port.postMessage(heardLast);
      worker.onerror = listenAlone;
      hangUp = () => worker.port.postMessage("going");
    } catch (error) {
      listenAlone();
    }
  };
  /* What waits in the browser's history hears nothing, and asks again when it is back. */
  addEventListener("pagehide", () => hangUp());
  if (isLiveReload) document.addEventListener("LiveReloadShutDown", () => hangUp());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
  listen();
})();
