"use strict";
// Whatever goes wrong on the page is written on its root, where a test or a reader can find it.
{
  const note = (text) => {
    document.documentElement.dataset.error = String(text);
  };
  addEventListener("error", (event) => note(event.message));
  addEventListener("unhandledrejection", (event) => note(event.reason));
  addEventListener("securitypolicyviolation", (event) => note(`blocked: ${event.blockedURI}`));
}
