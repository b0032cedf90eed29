(function () {
  "use strict";
  var list = document.getElementById("queries");
  var items = Array.prototype.slice.call(list.children);
  var find = document.getElementById("find");
  var sort = document.getElementById("sort");
  var level = document.getElementById("level");
  var count = document.getElementById("count");
  function number(item, key) { return parseFloat(item.dataset[key]); }
  function byName(a, b) { return a.dataset.name < b.dataset.name ? -1 : a.dataset.name > b.dataset.name ? 1 : 0; }
  var orders = {
    gain: function (a, b) { return number(b, "gain") - number(a, "gain"); },
    loss: function (a, b) { return number(a, "gain") - number(b, "gain"); },
    name: byName,
    score: function (a, b) { return number(a, "score") - number(b, "score"); },
    relevant: function (a, b) { return number(b, "relevant") - number(a, "relevant"); }
  };
  function isShown(item) {
    var wanted = find.value.trim().toLowerCase();
    var fits = level.value === "" || (level.value === "leaf" ? item.dataset.leaf === "1" : item.dataset.level === level.value);
    return fits && item.dataset.name.indexOf(wanted) >= 0;
  }
  function filter() {
    var shown = 0;
    items.forEach(function (item) { item.hidden = !isShown(item); shown += item.hidden ? 0 : 1; });
    count.textContent = shown + " of " + items.length + " queries";
  }
  function arrange() {
    var order = orders[sort.value];
    items.slice().sort(function (a, b) { return order(a, b) || byName(a, b); }).forEach(function (item) { list.appendChild(item); });
  }
  function open() {
    var target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (!target) { return; }
    if (target.hidden) { find.value = ""; level.value = ""; filter(); }
    var details = target.querySelector("details");
    if (details) { details.open = true; }
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", open);
  find.addEventListener("input", filter);
  level.addEventListener("change", filter);
  sort.addEventListener("change", arrange);
  document.getElementById("tools").addEventListener("submit", function (event) { event.preventDefault(); });
  document.getElementById("tools").hidden = false;
  arrange();
  filter();
  open();
})();
