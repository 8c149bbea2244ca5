/* Sets the kept theme before the first paint, so that a dark room is not lit up for a moment. Nothing else. */
try {
  var theme = localStorage.getItem("homefire.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch (refused) {
  /* A browser that keeps nothing for this page: the system's theme is used. */
}
