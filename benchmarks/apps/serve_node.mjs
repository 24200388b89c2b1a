// @tus/server with @tus/file-store: PORT FOLDER.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [port, folder, modules] = process.argv.slice(2);
const found = createRequire(join(modules, "package.json"));
const { Server } = await import(pathToFileURL(found.resolve("@tus/server")));
const { FileStore } = await import(pathToFileURL(found.resolve("@tus/file-store")));
new Server({ path: "/files", datastore: new FileStore({ directory: folder }) }).listen({ host: "127.0.0.1", port: +port });
