(() => {
"use strict";
// A link to a curve opens it.
function follow() {
  const details = document.getElementById(location.hash.slice(1));
  if (!details?.matches("details")) return;
  details.open = true;
  details.scrollIntoView();
}
addEventListener("hashchange", follow);
follow();
})();
