(() => {
"use strict";
// A link to a curve opens it, and on paper all stand open.
function follow() {
  const details = document.getElementById(location.hash.slice(1));
  if (!details?.matches("details")) return;
  details.open = true;
  details.scrollIntoView();
}
addEventListener("hashchange", follow);
follow();
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => opened.splice(0).forEach((details) => (details.open = false)));
})();
