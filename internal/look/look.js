{
  const key = "fray-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = sessionStorage.getItem(key); } catch { /* A page without storage forgets what was chosen. */ }
  const set = () => {
    document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
    document.dispatchEvent(new Event("themechange"));
  };
  document.getElementById("theme").addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { sessionStorage.setItem(key, chosen); } catch { /* Likewise. */ }
    set();
  });
  dark.addEventListener("change", set);
  set();
}
