// On paper everything stands open. The style sheet says so, too, but not every browser can follow it there.
{
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => opened.splice(0).forEach((details) => (details.open = false)));
}
