// A real IPFS node, alone (no peers, no network), answering the RPC that Kubo speaks.
// Environment: IPFS_PATH, an empty folder for its repo; PORT, where to listen on 127.0.0.1.
// Prints "ready" once it answers. Stops at SIGTERM, and when its standard input ends: it never outlives the tests.
import { create } from 'ipfs-core'
import { HttpApi } from 'ipfs-http-server'

const { IPFS_PATH: repo, PORT: port } = process.env
if (!repo || !port) throw new Error('set IPFS_PATH and PORT')

const node = await create({
  repo,
  silent: true,
  offline: true,
  preload: { enabled: false },
  init: { emptyRepo: true, algorithm: 'Ed25519' },
  config: {
    Addresses: { Swarm: [], Delegates: [], API: `/ip4/127.0.0.1/tcp/${port}`, Gateway: '' },
    Bootstrap: [],
    Discovery: { MDNS: { Enabled: false }, webRTCStar: { Enabled: false } },
    Pubsub: { Enabled: false },
    Swarm: { DisableNatPortMap: true }
  }
})
const api = new HttpApi(node)
await api.start()
console.log('ready')

const stop = async () => {
  await api.stop()
  await node.stop()
  process.exit(0)
}
process.on('SIGTERM', stop)
process.stdin.on('end', stop).resume()
