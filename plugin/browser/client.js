/* fastreload: this page follows the code that it was made by. */
(() => {
  "use strict";
  const script = document.currentScript;
  const path = script.dataset.path || new URL(script.src).pathname.replace(/\/client\.js$/, "");
  const made = script.dataset.generation;

  function exchange(files) {
    const names = files.map((file) => file.split("/").pop());
    const isHit = (url) => names.includes(new URL(url, location).pathname.split("/").pop());
    const fresh = (url) => {
      const next = new URL(url, location);
      next.searchParams.set("fastreload", Date.now());
      return next.href;
    };
    for (const link of document.querySelectorAll('link[rel~="stylesheet"][href]'))
      if (isHit(link.href)) link.href = fresh(link.href);
    for (const image of document.images) if (isHit(image.src)) image.src = fresh(image.src);
  }

  function hear(event) {
    const news = JSON.parse(event.data);
    if (news.type === "reload") location.reload();
    if (news.type === "hello" && made && String(news.generation) !== made && news.state === "serving")
      location.reload();
    if (news.type === "assets") exchange(news.files);
    if (news.type === "broken") console.error("fastreload:", news.message, news.file, news.line, news.traceback);
  }

  function listen() {
    const source = new EventSource(path + "/events");
    source.onmessage = hear;
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
    };
    addEventListener("pagehide", () => source.close());
  }
  listen();
})();
