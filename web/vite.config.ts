/*
 * How the page is built: one HTML file and hashed files under assets/, written into the Python package.
 * Promises: nothing inline (the daemon's Content-Security-Policy forbids it) and nothing from another origin.
 * Does not cover: serving the page; the daemon does that. `npm run dev` passes the API on to a running daemon.
 */
import { defineConfig } from "vitest/config";

const DAEMON = "http://127.0.0.1:7373";

export default defineConfig({
  base: "/",
  build: {
    outDir: "../homefire/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: {
    proxy: Object.fromEntries(
      ["/homefire", "/v1", "/healthz"].map((path) => [path, { target: DAEMON, changeOrigin: true, headers: { origin: DAEMON } }]),
    ),
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
