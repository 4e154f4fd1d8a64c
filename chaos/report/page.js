addEventListener("error", function () { document.documentElement.dataset.trouble = "1"; });
(function () {
  "use strict";
  var root = document.documentElement, tip = document.getElementById("tip"), names = "http://www.w3.org/2000/svg";
  var charts = Array.prototype.slice.call(document.querySelectorAll("svg[data-t1]"));
  var button = document.getElementById("scheme");
  button.addEventListener("click", function () {
    var dark = root.dataset.scheme ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.scheme = dark ? "light" : "dark";
  });
  function numbers(svg) {
    return { x0: +svg.dataset.x0, x1: +svg.dataset.x1, t1: +svg.dataset.t1, width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
  }
  function cursor(share) {
    charts.forEach(function (svg) {
      var line = svg.querySelector(".cursor"), n = numbers(svg);
      if (share === null) { if (line) { line.remove(); } return; }
      if (!line) {
        line = document.createElementNS(names, "line");
        line.setAttribute("class", "cursor"); line.setAttribute("y1", 0); line.setAttribute("y2", n.height - 20);
        svg.appendChild(line);
      }
      var x = n.x0 + (n.x1 - n.x0) * share;
      line.setAttribute("x1", x); line.setAttribute("x2", x);
    });
  }
  function say(text, event) {
    tip.style.display = text ? "block" : "none";
    if (!text) { return; }
    tip.textContent = text;
    var left = event.clientX + 14;
    if (left + tip.offsetWidth > innerWidth - 8) { left = Math.max(8, event.clientX - tip.offsetWidth - 14); }
    tip.style.left = left + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
  }
  document.addEventListener("pointermove", function (event) {
    var own = event.target.closest && event.target.closest("[data-tip]");
    var svg = event.target.closest && event.target.closest("svg[data-t1]");
    if (own) { cursor(null); say(own.dataset.tip, event); return; }
    if (!svg) { cursor(null); say("", event); return; }
    var box = svg.getBoundingClientRect(), n = numbers(svg);
    var share = ((event.clientX - box.left) / box.width * n.width - n.x0) / (n.x1 - n.x0);
    if (share < 0 || share > 1) { cursor(null); say("", event); return; }
    cursor(share);
    var figure = svg.closest("figure"), time = share * n.t1, text = time.toFixed(2) + " s";
    if (figure.dataset.tips) {
      figure.tips = figure.tips || JSON.parse(figure.dataset.tips);
      var bucket = Math.min(figure.tips.length - 1, Math.floor(time / figure.dataset.bucket));
      text += "\n" + (figure.tips[bucket] || "").split(" · ").join("\n");
    }
    say(text, event);
  });
  document.addEventListener("pointerleave", function (event) { cursor(null); say("", event); });
  root.dataset.width = document.body.scrollWidth;
  root.dataset.height = Math.ceil(document.querySelector("main").getBoundingClientRect().height);
})();
