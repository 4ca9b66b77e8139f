// Starts a Bluesky server and the directory it keeps accounts in, both on 127.0.0.1 only and both forgetful.
// Prints one line of JSON, {"url": …}, and ends with SIGTERM.
//   node pds.mjs FOLDER_WITH_NODE_MODULES DATA_FOLDER [--rate-limits]
import { mkdirSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'

const [, , installed, data, ...flags] = process.argv
const require = createRequire(path.resolve(installed, 'package.json'))

// Both listen on all interfaces unless told otherwise.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  const everywhere = typeof port === 'number' && typeof rest[0] !== 'string'
  return everywhere ? listen.call(this, port, '127.0.0.1', ...rest) : listen.call(this, port, ...rest)
}

const freePort = () =>
  new Promise((found) => {
    const server = net.createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => found(port))
    })
  })

const { PlcServer, Database } = require('@did-plc/server')
const directoryPort = await freePort()
const directory = PlcServer.create({ db: Database.mock(), port: directoryPort })
await directory.start()

const port = await freePort()
const secret = () => randomBytes(32).toString('hex')
mkdirSync(path.join(data, 'blobs'), { recursive: true })
Object.assign(process.env, {
  LOG_ENABLED: 'false',
  PDS_PORT: String(port),
  PDS_HOSTNAME: 'localhost',
  PDS_DEV_MODE: 'true',
  PDS_SERVICE_HANDLE_DOMAINS: '.test',
  PDS_DATA_DIRECTORY: data,
  PDS_BLOBSTORE_DISK_LOCATION: path.join(data, 'blobs'),
  PDS_DID_PLC_URL: `http://127.0.0.1:${directoryPort}`,
  PDS_JWT_SECRET: secret(),
  PDS_ADMIN_PASSWORD: secret(),
  PDS_INVITE_REQUIRED: 'false',
  PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: secret(),
  PDS_DISABLE_SSRF_PROTECTION: 'true',
  PDS_ENABLE_DID_DOC_WITH_SESSION: 'true',
  PDS_RATE_LIMITS_ENABLED: String(flags.includes('--rate-limits')),
  PDS_CRAWLERS: '',
})
const { PDS, envToCfg, envToSecrets, readEnv } = require('@atproto/pds')
const given = readEnv()
const server = await PDS.create(envToCfg(given), envToSecrets(given))
await server.start()
console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }))

const stop = async () => {
  await server.destroy()
  await directory.destroy()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)
