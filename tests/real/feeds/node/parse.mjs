// Shows the feeds named on the command line to three parsers written by others, and prints as JSON what each
// says of every item: id, title, link, and the instant of publication.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseFeed } from "feedsmith";

const require = createRequire(import.meta.url);
const RssParser = require("rss-parser");
const { parseFeed: parseRowan } = require("@rowanmanning/feed-parser");

const instant = (value) => new Date(value).toISOString();

function feedsmith(text) {
  const { format, feed } = parseFeed(text);
  if (format === "rss") {
    return feed.items.map((item) => [item.guid.value, item.title, item.link, instant(item.pubDate)]);
  }
  if (format === "atom") {
    return feed.entries.map((entry) => {
      const link = entry.links.find((one) => (one.rel ?? "alternate") === "alternate");
      const title = typeof entry.title === "string" ? entry.title : entry.title.value;
      return [entry.id, title, link.href, instant(entry.published)];
    });
  }
  return feed.items.map((item) => [item.id, item.title, item.url, instant(item.date_published)]);
}

async function rssParser(text) {
  const feed = await new RssParser().parseString(text);
  return feed.items.map((item) => [item.guid ?? item.id, item.title, item.link, instant(item.isoDate)]);
}

function rowan(text) {
  const feed = parseRowan(text);
  return feed.items.map((item) => [item.id, item.title, item.url, instant(item.published)]);
}

const said = {};
for (const path of process.argv.slice(2)) {
  const text = readFileSync(path, "utf8");
  said[path] = { feedsmith: feedsmith(text) };
  if (!path.endsWith(".json")) {
    said[path]["rss-parser"] = await rssParser(text);
    said[path]["@rowanmanning/feed-parser"] = rowan(text);
  }
}
console.log(JSON.stringify(said));
